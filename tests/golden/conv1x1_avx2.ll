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
  %8 = sub i64 %tile, 0
  %9 = mul i64 %8, 2
  %10 = add i64 %9, 0
  %11 = mul i64 %10, 1
  %12 = sub i64 %11, 0
  %13 = mul i64 %12, 2
  %14 = add i64 0, %13
  %15 = getelementptr float, ptr %src, i64 %14
  call void asm sideeffect "", "~{memory}"()
  br label %ic.loop

ic.loop:                                          ; preds = %ic.loop, %tile.loop
  %ic = phi i64 [ 0, %tile.loop ], [ %ic.next, %ic.loop ]
  %16 = phi <8 x float> [ zeroinitializer, %tile.loop ], [ %21, %ic.loop ]
  %17 = phi <8 x float> [ zeroinitializer, %tile.loop ], [ %24, %ic.loop ]
  %18 = phi ptr [ %15, %tile.loop ], [ %25, %ic.loop ]
  %19 = phi ptr [ %weights, %tile.loop ], [ %26, %ic.loop ]
  %w0 = load <8 x float>, ptr %19, align 32
  %20 = load float, ptr %18, align 4
  %x0.splatinsert = insertelement <8 x float> poison, float %20, i64 0
  %x0.splat = shufflevector <8 x float> %x0.splatinsert, <8 x float> poison, <8 x i32> zeroinitializer
  %21 = call <8 x float> @llvm.fma.v8f32(<8 x float> %x0.splat, <8 x float> %w0, <8 x float> %16)
  %22 = getelementptr float, ptr %18, i64 2
  %23 = load float, ptr %22, align 4
  %x1.splatinsert = insertelement <8 x float> poison, float %23, i64 0
  %x1.splat = shufflevector <8 x float> %x1.splatinsert, <8 x float> poison, <8 x i32> zeroinitializer
  %24 = call <8 x float> @llvm.fma.v8f32(<8 x float> %x1.splat, <8 x float> %w0, <8 x float> %17)
  %25 = getelementptr float, ptr %18, i64 1
  %26 = getelementptr float, ptr %19, i64 8
  %ic.next = add nuw nsw i64 %ic, 1
  %27 = icmp slt i64 %ic.next, 2
  br i1 %27, label %ic.loop, label %ic.done

ic.done:                                          ; preds = %ic.loop
  %28 = mul i64 %10, 8
  %29 = add i64 0, %28
  %30 = add i64 0, %29
  %bias1 = load <8 x float>, ptr %bias, align 4
  %31 = add i64 %30, 0
  %32 = add i64 %31, 0
  %33 = fadd <8 x float> %21, %bias1
  %34 = fcmp olt <8 x float> %33, zeroinitializer
  %35 = select <8 x i1> %34, <8 x float> zeroinitializer, <8 x float> %33
  %36 = getelementptr float, ptr %dst, i64 %32
  store <8 x float> %35, ptr %36, align 4
  %37 = add i64 %30, 8
  %38 = add i64 %37, 0
  %39 = fadd <8 x float> %24, %bias1
  %40 = fcmp olt <8 x float> %39, zeroinitializer
  %41 = select <8 x i1> %40, <8 x float> zeroinitializer, <8 x float> %39
  %42 = getelementptr float, ptr %dst, i64 %38
  store <8 x float> %41, ptr %42, align 4
  %tile.next = add nuw nsw i64 %tile, 1
  %43 = icmp slt i64 %tile.next, 4
  br i1 %43, label %tile.loop, label %tile.done

tile.done:                                        ; preds = %ic.done
  %task.next = add nuw nsw i64 %task, 1
  %44 = icmp slt i64 %task.next, %end
  br i1 %44, label %task.loop, label %task.done

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
