//! Ctrl-C.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

/// The exit status of a program that a second Ctrl-C ended: 128 + SIGINT, as shells have it.
const ENDED_BY_CTRL_C: i32 = 130;

/// A flag that the first Ctrl-C sets. The second ends the program at once. Called once.
pub(crate) fn on_ctrl_c(quiet: bool) -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            process::exit(ENDED_BY_CTRL_C);
        }
        if !quiet {
            eprintln!("\nending after this batch; once more Ctrl-C ends at once");
        }
    })
    .map_err(|e| Failure::other(format_args!("cannot listen for Ctrl-C: {e}")))?;
    Ok(flag)
}
