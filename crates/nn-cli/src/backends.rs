//! `nn backends`: what there is to compute with.

use nn_core::backend::survey;

use crate::failure::Failure;
use crate::screen::Screen;

pub(crate) fn run(screen: &mut Screen) -> Result<(), Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for found in survey() {
        let (mark, text) = match found.outcome {
            Ok(description) => {
                let mut lines = vec![format!("library   {}", description.library)];
                lines.extend(description.version.map(|version| format!("version   {version}")));
                lines.extend(description.path.map(|path| format!("path      {}", path.display())));
                lines.push(format!("kernels   {}", description.isa));
                lines.push(format!("threads   {threads} workers, {} per call", description.threads_per_call));
                ("available", lines.join("\n    "))
            }
            Err(why) => ("not available", why.to_string()),
        };
        screen.print(format!("{} {mark}\n    {text}", screen.style.bold(&format!("{}:", found.name))));
    }
    Ok(())
}
