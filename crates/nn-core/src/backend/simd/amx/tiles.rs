//! The tile registers of AMX: who may use them, and the one product that is formed in them.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::LazyLock;

use crate::ops::Sum;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;

/// Steps of the sum in a tile: pairs of bf16, as many as a row of 64 bytes has.
pub(super) const STEPS: usize = 32;

/// Words of 32 bits in a tile.
pub(super) const TILE: usize = 256;

/// Bf16 numbers that a number is the sum of: 8 bits of its 24 in each.
pub(super) const PIECES: usize = 3;

/// Rows and columns of the product that is formed at once: four tiles, so that each tile that is loaded serves two products.
pub(super) const BLOCK: usize = 2 * ROWS;

/// Numbers of such a block.
pub(super) const AREA: usize = BLOCK * BLOCK;

/// Words of B for each tile's worth of steps: two tiles of each piece.
pub(super) const WORDS_OF_B: usize = PIECES * 2 * TILE;

/// Whether this CPU has AMX for bf16, and Linux lets this process use it: tiles are so large a state that a process has to ask for room.
pub(super) fn is_available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| has_features() && is_permitted());
    *AVAILABLE
}

/// AMX-BF16 and AMX-TILE, and of AVX-512 what the packing needs beside its foundation.
fn has_features() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const BOTH: u32 = AMX_BF16 | AMX_TILE;
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2")
        && __cpuid_count(0, 0).eax >= 7
        && __cpuid_count(7, 0).edx & BOTH == BOTH
}

/// Asks Linux for the permission (arch_prctl(2), since Linux 5.16), for all threads of the process. From then on a stack of its own that a thread
/// has for signals must have room for tiles, as those have that Rust's runtime makes.
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let failure: i64;
    // SAFETY: a system call that reads and writes no memory of this process; `syscall` changes rcx and r11 beside the result.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => failure,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    failure == 0
}

/// What `ldtilecfg` reads: eight tiles of sixteen rows of 64 bytes.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The tile registers of this thread, in use. Given back when dropped, so that a switch of threads need not save them.
#[derive(Debug)]
pub(super) struct Tiles {
    /// Of one thread alone.
    of_thread: PhantomData<*const ()>,
}

impl Tiles {
    /// # Safety
    /// [`is_available`] must have said so, and no others may be in use on this thread.
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the caller promises that the instruction is there; the shapes are those of palette 1.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly, preserves_flags));
        }
        Self { of_thread: PhantomData }
    }

    /// C ← A · (B₁ + B₂ + B₃) where the sum begins, C ← C + A · (B₁ + B₂ + B₃) where it continues, for one block of C. A is bf16 and so is each
    /// piece of B; products are exact, sums f32.
    ///
    /// A: tiles of the upper rows and of the lower ones, row by row 32 steps. B: for each 32 steps the tiles of each piece, two for its columns,
    /// row by row two steps of 16 columns. C: row-major.
    pub(super) fn multiply(&self, [upper, lower]: [&[f32]; 2], b: &[f32], sum: Sum, c: &mut [f32; AREA]) {
        let left = b.len() / WORDS_OF_B;
        assert!(left > 0 && upper.len().min(lower.len()) >= left * TILE, "tiles of A for {left} of B");
        // SAFETY: the tiles are configured as long as `self` exists. What is read lies in A and B, which were just measured: 1024 bytes from
        // each place on, in rows of 64. What is read and written of C are 32 rows of 128 bytes.
        unsafe {
            asm!(
                "test {continues}, {continues}",
                "jnz 2f",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "jmp 3f",
                "2:",
                "tileloadd tmm0, [{c} + {c_row}]",
                "tileloadd tmm1, [{c} + {c_row} + 64]",
                "tileloadd tmm2, [{c} + {c_row} + 2048]",
                "tileloadd tmm3, [{c} + {c_row} + 2112]",
                "3:",
                "tileloadd tmm4, [{upper} + {row}]",
                "tileloadd tmm6, [{b} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{lower} + {row}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{b} + {row} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "tileloadd tmm6, [{b} + {row} + 2048]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{b} + {row} + 3072]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "tileloadd tmm6, [{b} + {row} + 4096]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{b} + {row} + 5120]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {upper}, 1024",
                "add {lower}, 1024",
                "add {b}, 6144",
                "sub {left}, 1",
                "jnz 3b",
                "tilestored [{c} + {c_row}], tmm0",
                "tilestored [{c} + {c_row} + 64], tmm1",
                "tilestored [{c} + {c_row} + 2048], tmm2",
                "tilestored [{c} + {c_row} + 2112], tmm3",
                continues = in(reg) usize::from(sum == Sum::Continue),
                upper = inout(reg) upper.as_ptr() => _,
                lower = inout(reg) lower.as_ptr() => _,
                b = inout(reg) b.as_ptr() => _,
                c = in(reg) c.as_mut_ptr(),
                left = inout(reg) left => _,
                row = in(reg) 64_usize,
                c_row = in(reg) BLOCK * size_of::<f32>(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the tiles were configured, so that the instruction is there.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
    }
}
