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
  %6 = getelementptr i8, ptr %args, i64 48
  %scratch = load ptr, ptr %6, align 8
  %7 = icmp slt i64 %begin, %end
  br i1 %7, label %task.enter, label %task.leave

task.enter:                                       ; preds = %entry
  br label %task.loop

task.loop:                                        ; preds = %tile.done, %task.enter
  %task = phi i64 [ %begin, %task.enter ], [ %task.next, %tile.done ]
  br label %tile.loop

tile.loop:                                        ; preds = %tile.loop, %task.loop
  %tile = phi i64 [ 0, %task.loop ], [ %tile.next, %tile.loop ]
  %8 = mul i64 %tile, 2
  %9 = mul i64 %8, 4
  %10 = getelementptr float, ptr %src, i64 %9
  %x0 = load <4 x float>, ptr %10, align 4
  %11 = load <4 x float>, ptr %weights, align 16
  %12 = fmul <4 x float> %x0, %11
  %13 = fadd <4 x float> %12, zeroinitializer
  %14 = getelementptr float, ptr %10, i64 4
  %x1 = load <4 x float>, ptr %14, align 4
  %15 = getelementptr float, ptr %weights, i64 4
  %16 = load <4 x float>, ptr %15, align 16
  %17 = fmul <4 x float> %x1, %16
  %18 = fadd <4 x float> %17, %13
  %19 = load <4 x float>, ptr %weights, align 16
  %20 = fmul <4 x float> %x1, %19
  %21 = fadd <4 x float> %20, zeroinitializer
  %22 = getelementptr float, ptr %10, i64 8
  %x2 = load <4 x float>, ptr %22, align 4
  %23 = getelementptr float, ptr %weights, i64 4
  %24 = load <4 x float>, ptr %23, align 16
  %25 = fmul <4 x float> %x2, %24
  %26 = fadd <4 x float> %25, %21
  %27 = mul i64 %8, 4
  %28 = getelementptr float, ptr %dst, i64 %27
  store <4 x float> %18, ptr %28, align 4
  %29 = add i64 %27, 4
  %30 = getelementptr float, ptr %dst, i64 %29
  store <4 x float> %26, ptr %30, align 4
  %tile.next = add nuw nsw i64 %tile, 1
  %31 = icmp slt i64 %tile.next, 2
  br i1 %31, label %tile.loop, label %tile.done

tile.done:                                        ; preds = %tile.loop
  %task.next = add nuw nsw i64 %task, 1
  %32 = icmp slt i64 %task.next, %end
  br i1 %32, label %task.loop, label %task.done

task.done:                                        ; preds = %tile.done
  br label %task.leave

task.leave:                                       ; preds = %task.done, %entry
  ret void
}

attributes #0 = { nounwind "frame-pointer"="all" "min-legal-vector-width"="128" "prefer-vector-width"="128" "target-cpu"="x86-64" "target-features"="+64bit,+64bit-mode,+cmov,+crc32,+cx16,+cx8,+false-deps-popcnt,+fast-15bytenop,+fast-scalar-fsqrt,+fast-shld-rotate,+fxsr,+idivq-to-divl,+macrofusion,+mmx,+nopl,+popcnt,+sahf,+slow-3ops-lea,+slow-unaligned-mem-32,+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+vzeroupper,+x87" "tune-cpu"="x86-64-v2" }

!llvm.module.flags = !{!0}

!0 = !{i32 8, !"PIC Level", i32 1}
