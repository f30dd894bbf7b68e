// SPDX-License-Identifier: Apache-2.0
// The bytes of an ONNX model with one convolution and an open batch, written field by field, so
// that examples of the tool's help have a model also where ONNX's library is not.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

namespace convgen::tool {

class ProtobufMessage {
 public:
  ProtobufMessage& number(int field, uint64_t value) {
    add_varint(static_cast<uint64_t>(field) << 3);
    add_varint(value);
    return *this;
  }
  ProtobufMessage& text(int field, const std::string& bytes) {
    add_varint(static_cast<uint64_t>(field) << 3 | 2);
    add_varint(bytes.size());
    bytes_ += bytes;
    return *this;
  }
  ProtobufMessage& message(int field, const ProtobufMessage& part) {
    return text(field, part.bytes_);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void add_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

// x [N, 3, 8, 8] -> Conv with weights [2, 3, 1, 1] -> y [N, 2, 8, 8]. Fields as in onnx.proto.
inline std::string tiny_onnx_model() {
  using Message = ProtobufMessage;
  const auto value_info = [](const char* name, uint64_t channels) {
    Message shape;
    shape.message(1, Message().text(2, "N"));
    for (const uint64_t dim : {channels, uint64_t{8}, uint64_t{8}})
      shape.message(1, Message().number(1, dim));
    const Message tensor = Message().number(1, /*float*/ 1).message(2, shape);
    return Message().text(1, name).message(2, Message().message(1, tensor));
  };
  Message weights;
  for (const uint64_t dim : {2, 3, 1, 1}) weights.number(1, dim);
  weights.number(2, /*float*/ 1).text(8, "w").text(9, std::string(2 * 3 * sizeof(float), '\0'));
  const Message node = Message().text(1, "x").text(1, "w").text(2, "y").text(4, "Conv");
  const Message graph = Message()
                            .message(1, node)
                            .text(2, "tiny")
                            .message(5, weights)
                            .message(11, value_info("x", 3))
                            .message(12, value_info("y", 2));
  const Message opset = Message().number(2, 13);
  return Message().number(1, 8).message(7, graph).message(8, opset).bytes();
}

}  // namespace convgen::tool
