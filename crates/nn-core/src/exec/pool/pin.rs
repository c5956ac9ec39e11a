//! Threads held on cores.

use std::cell::OnceCell;

use core_affinity::CoreId;

use crate::{Error, Result};

thread_local! {
    /// The cores that this thread could use before it was held on one of them. Without it, the second session of a
    /// thread would find a single core.
    static BEFORE: OnceCell<Vec<CoreId>> = const { OnceCell::new() };
}

/// The cores for `threads` threads, the first of which is the calling one: the first ones that it may use, or could
/// before it was pinned.
pub(super) fn cores(threads: usize) -> Result<Vec<CoreId>> {
    let before = BEFORE.with(|before| before.get().cloned());
    let mut cores = match before.or_else(core_affinity::get_core_ids) {
        Some(cores) if !cores.is_empty() => cores,
        _ => {
            return Err(Error::unavailable(
                "pin: asked the system on which cores this thread may run, and got no answer; leave the threads \
                 unpinned",
            ));
        }
    };
    if threads > cores.len() {
        let ids: Vec<String> = cores.iter().map(|core| core.id.to_string()).collect();
        let (count, list) = (ids.len(), ids.join(", "));
        return Err(Error::invalid(format_args!(
            "pin: found {threads} threads, each to be held on a core of its own, and {count} that this thread may run on \
             ({list}); expected no more threads than cores"
        )));
    }
    cores.truncate(threads);
    Ok(cores)
}

/// Holds the calling thread, which is number `thread`, on a core.
pub(super) fn hold(thread: usize, core: CoreId) -> Result<()> {
    let before = core_affinity::get_core_ids();
    if !core_affinity::set_for_current(core) {
        return Err(Error::unavailable(format_args!(
            "pin: tried to hold thread {thread} on core {}, which the system refused; leave the threads unpinned",
            core.id
        )));
    }
    if let Some(cores) = before {
        BEFORE.with(|known| {
            known.get_or_init(|| cores);
        });
    }
    Ok(())
}
