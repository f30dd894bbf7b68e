; conv: conv1d src=f32:nwc:1x5x4 weights=f32:wio:2x1x4 groups=4
; mcpu: x86-64-v2
; stage: llvm
; schedule: depthwise lanes=4 tile=2x1 unroll=taps
; ModuleID = 'convgen'
source_filename = "convgen"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

; Function Attrs: nounwind
define void @convgen_kernel(ptr noalias readonly %args, i64 %begin, i64 %end) #0 {
entry:
  %0 = getelementptr i8, ptr %args, i64 0
  %src = load ptr, ptr %0, align 8
  %1 = getelementptr i8, ptr %args, i64 8
  %weights = load ptr, ptr %1, align 8
  %2 = getelementptr i8, ptr %args, i64 16
  %bias = load ptr, ptr %2, align 8
  %3 = getelementptr i8, ptr %args, i64 24
  %add = load ptr, ptr %3, align 8
  %4 = getelementptr i8, ptr %args, i64 32
  %scale = load ptr, ptr %4, align 8
  %5 = getelementptr i8, ptr %args, i64 40
  %dst = load ptr, ptr %5, align 8
  %6 = icmp slt i64 %begin, %end
  br i1 %6, label %task.enter, label %task.leave

task.enter:                                       ; preds = %entry
  br label %task.loop

task.loop:                                        ; preds = %tile.done, %task.enter
  %task = phi i64 [ %begin, %task.enter ], [ %task.next, %tile.done ]
  br label %tile.loop

tile.loop:                                        ; preds = %tile.loop, %task.loop
  %tile = phi i64 [ 0, %task.loop ], [ %tile.next, %tile.loop ]
  %7 = sub i64 %tile, 0
  %8 = mul i64 %7, 2
  %9 = add i64 %8, 0
  %10 = mul i64 %9, 1
  %11 = sub i64 %10, 0
  %12 = mul i64 %11, 4
  %13 = add i64 0, %12
  %14 = getelementptr float, ptr %src, i64 %13
  %x0 = load <4 x float>, ptr %14, align 4
  %15 = load <4 x float>, ptr %weights, align 16
  %16 = fmul <4 x float> %x0, %15
  %17 = fadd <4 x float> %16, zeroinitializer
  %18 = getelementptr float, ptr %14, i64 4
  %x1 = load <4 x float>, ptr %18, align 4
  %19 = getelementptr float, ptr %weights, i64 4
  %20 = load <4 x float>, ptr %19, align 16
  %21 = fmul <4 x float> %x1, %20
  %22 = fadd <4 x float> %21, %17
  %23 = load <4 x float>, ptr %weights, align 16
  %24 = fmul <4 x float> %x1, %23
  %25 = fadd <4 x float> %24, zeroinitializer
  %26 = getelementptr float, ptr %14, i64 8
  %x2 = load <4 x float>, ptr %26, align 4
  %27 = getelementptr float, ptr %weights, i64 4
  %28 = load <4 x float>, ptr %27, align 16
  %29 = fmul <4 x float> %x2, %28
  %30 = fadd <4 x float> %29, %25
  %31 = mul i64 %9, 4
  %32 = add i64 0, %31
  %33 = add i64 0, %32
  %34 = add i64 %33, 0
  %35 = add i64 %34, 0
  %36 = getelementptr float, ptr %dst, i64 %35
  store <4 x float> %22, ptr %36, align 4
  %37 = add i64 %33, 4
  %38 = add i64 %37, 0
  %39 = getelementptr float, ptr %dst, i64 %38
  store <4 x float> %30, ptr %39, align 4
  %tile.next = add nuw nsw i64 %tile, 1
  %40 = icmp slt i64 %tile.next, 2
  br i1 %40, label %tile.loop, label %tile.done

tile.done:                                        ; preds = %tile.loop
  %task.next = add nuw nsw i64 %task, 1
  %41 = icmp slt i64 %task.next, %end
  br i1 %41, label %task.loop, label %task.done

task.done:                                        ; preds = %tile.done
  br label %task.leave

task.leave:                                       ; preds = %task.done, %entry
  ret void
}

attributes #0 = { nounwind "min-legal-vector-width"="128" "prefer-vector-width"="128" "target-cpu"="x86-64" "target-features"="+64bit,+64bit-mode,+cmov,+crc32,+cx16,+cx8,+false-deps-popcnt,+fast-15bytenop,+fast-scalar-fsqrt,+fast-shld-rotate,+fxsr,+idivq-to-divl,+macrofusion,+mmx,+nopl,+popcnt,+sahf,+slow-3ops-lea,+slow-unaligned-mem-32,+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+vzeroupper,+x87" "tune-cpu"="x86-64-v2" }

!llvm.module.flags = !{!0}

!0 = !{i32 8, !"PIC Level", i32 1}
