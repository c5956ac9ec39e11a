//! The sizes of this CPU's caches.

use std::sync::OnceLock;

/// Bytes of the caches that one core has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caches {
    /// The first one, for data.
    pub(super) l1: usize,
    pub(super) l2: usize,
}

/// What is assumed where the CPU doesn't tell: as much as most x86-64 and ARM server cores have had, or more.
const USUAL: Caches = Caches { l1: 32 * 1024, l2: 512 * 1024 };

/// The sizes, asked for once.
pub(super) fn caches() -> Caches {
    static FOUND: OnceLock<Caches> = OnceLock::new();
    *FOUND.get_or_init(|| find().unwrap_or(USUAL))
}

/// By `cpuid`, leaf 4 of Intel's processors and 0x8000001d of AMD's, which have the same form (Intel's manual, volume 2A;
/// AMD's, volume 3, appendix E).
#[cfg(target_arch = "x86_64")]
fn find() -> Option<Caches> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let leaf = [0x8000_001d, 4].into_iter().find(|&leaf| {
        let highest = __cpuid(leaf & 0x8000_0000).eax;
        highest >= leaf && __cpuid_count(leaf, 0).eax & 31 != 0
    })?;
    // A processor has a handful of caches; the list ends with one of type 0. Types: 1 data, 2 instructions, 3 both.
    let all = || (0..16).map(|number| __cpuid_count(leaf, number)).take_while(|cache| cache.eax & 31 != 0);
    let of_level = |wanted: u32| {
        all().find_map(|cache| {
            let (kind, level) = (cache.eax & 31, cache.eax >> 5 & 7);
            let (ways, partitions, line) =
                ((cache.ebx >> 22) + 1, (cache.ebx >> 12 & 1023) + 1, (cache.ebx & 4095) + 1);
            let bytes = ways as usize * partitions as usize * line as usize * (cache.ecx as usize + 1);
            (level == wanted && kind != 2 && bytes > 0).then_some(bytes)
        })
    };
    Some(Caches { l1: of_level(1)?, l2: of_level(2)? })
}

/// By what Linux tells of the first CPU's caches: 0 is the first one for data.
#[cfg(not(target_arch = "x86_64"))]
fn find() -> Option<Caches> {
    let size = |index: usize| {
        let text =
            std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size")).ok()?;
        let kib: usize = text.trim().strip_suffix('K')?.parse().ok()?;
        (kib > 0).then_some(kib * 1024)
    };
    Some(Caches { l1: size(0)?, l2: size(2)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_have_sizes_that_such_caches_have() {
        let found = caches();
        assert!((8 << 10..=1 << 20).contains(&found.l1), "{found:?}");
        assert!((128 << 10..=64 << 20).contains(&found.l2) && found.l1 < found.l2, "{found:?}");
    }
}
