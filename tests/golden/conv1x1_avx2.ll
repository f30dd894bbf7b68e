; conv: conv2d src=f32:nhwc:1x2x4x2 weights=f32:hwio:1x1x2x8 post=bias,relu
; mcpu: x86-64-v3
; stage: llvm
; schedule: direct lanes=8 tile=2x1 ic_unroll=1 merge_rows=1
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

tile.loop:                                        ; preds = %ic.done, %task.loop
  %tile = phi i64 [ 0, %task.loop ], [ %tile.next, %ic.done ]
  %8 = mul i64 %tile, 2
  %9 = mul i64 %8, 2
  %10 = getelementptr float, ptr %src, i64 %9
  call void asm sideeffect "", "~{memory}"()
  br label %ic.loop

ic.loop:                                          ; preds = %ic.loop, %tile.loop
  %ic = phi i64 [ 0, %tile.loop ], [ %ic.next, %ic.loop ]
  %11 = phi <8 x float> [ zeroinitializer, %tile.loop ], [ %16, %ic.loop ]
  %12 = phi <8 x float> [ zeroinitializer, %tile.loop ], [ %19, %ic.loop ]
  %13 = phi ptr [ %10, %tile.loop ], [ %20, %ic.loop ]
  %14 = phi ptr [ %weights, %tile.loop ], [ %21, %ic.loop ]
  %w0 = load <8 x float>, ptr %14, align 32
  %15 = load float, ptr %13, align 4
  %x0.splatinsert = insertelement <8 x float> poison, float %15, i64 0
  %x0.splat = shufflevector <8 x float> %x0.splatinsert, <8 x float> poison, <8 x i32> zeroinitializer
  %16 = call <8 x float> @llvm.fma.v8f32(<8 x float> %x0.splat, <8 x float> %w0, <8 x float> %11)
  %17 = getelementptr float, ptr %13, i64 2
  %18 = load float, ptr %17, align 4
  %x1.splatinsert = insertelement <8 x float> poison, float %18, i64 0
  %x1.splat = shufflevector <8 x float> %x1.splatinsert, <8 x float> poison, <8 x i32> zeroinitializer
  %19 = call <8 x float> @llvm.fma.v8f32(<8 x float> %x1.splat, <8 x float> %w0, <8 x float> %12)
  %20 = getelementptr float, ptr %13, i64 1
  %21 = getelementptr float, ptr %14, i64 8
  %ic.next = add nuw nsw i64 %ic, 1
  %22 = icmp slt i64 %ic.next, 2
  br i1 %22, label %ic.loop, label %ic.done

ic.done:                                          ; preds = %ic.loop
  %23 = mul i64 %8, 8
  %bias1 = load <8 x float>, ptr %bias, align 4
  %24 = fadd <8 x float> %16, %bias1
  %25 = fcmp olt <8 x float> %24, zeroinitializer
  %26 = select <8 x i1> %25, <8 x float> zeroinitializer, <8 x float> %24
  %27 = getelementptr float, ptr %dst, i64 %23
  store <8 x float> %26, ptr %27, align 4
  %28 = add i64 %23, 8
  %29 = fadd <8 x float> %19, %bias1
  %30 = fcmp olt <8 x float> %29, zeroinitializer
  %31 = select <8 x i1> %30, <8 x float> zeroinitializer, <8 x float> %29
  %32 = getelementptr float, ptr %dst, i64 %28
  store <8 x float> %31, ptr %32, align 4
  %tile.next = add nuw nsw i64 %tile, 1
  %33 = icmp slt i64 %tile.next, 4
  br i1 %33, label %tile.loop, label %tile.done

tile.done:                                        ; preds = %ic.done
  %task.next = add nuw nsw i64 %task, 1
  %34 = icmp slt i64 %task.next, %end
  br i1 %34, label %task.loop, label %task.done

task.done:                                        ; preds = %tile.done
  br label %task.leave

task.leave:                                       ; preds = %task.done, %entry
  ret void
}

; Function Attrs: nocallback nofree nosync nounwind speculatable willreturn memory(none)
declare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>) #1

attributes #0 = { nounwind "frame-pointer"="all" "min-legal-vector-width"="256" "prefer-vector-width"="256" "target-cpu"="x86-64" "target-features"="+64bit,+64bit-mode,+allow-light-256-bit,+avx,+avx2,+bmi,+bmi2,+cmov,+crc32,+cx16,+cx8,+f16c,+false-deps-lzcnt-tzcnt,+false-deps-popcnt,+fast-15bytenop,+fast-scalar-fsqrt,+fast-shld-rotate,+fast-variable-crosslane-shuffle,+fast-variable-perlane-shuffle,+fma,+fxsr,+idivq-to-divl,+lzcnt,+macrofusion,+mmx,+movbe,+nopl,+popcnt,+sahf,+slow-3ops-lea,+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+vzeroupper,+x87,+xsave" "tune-cpu"="x86-64-v3" }
attributes #1 = { nocallback nofree nosync nounwind speculatable willreturn memory(none) }

!llvm.module.flags = !{!0}

!0 = !{i32 8, !"PIC Level", i32 1}
