//! `nn notebook`: the exercise, part by part, on this engine. The parts are the examples of this package, compiled into the
//! program; the code that a page shows is cut out of the very files that were compiled.

mod code;
mod highlight;
mod html;
mod page;

use std::fs;
use std::path::Path;
use std::time::Instant;

use nn_cli::lesson::{Pace, Page, Result as LessonResult};
use nn_train::files::{check_writable, write_atomically};

use self::code::Source;
use self::page::{Block, Told};
use crate::args::NotebookArgs;
use crate::failure::Failure;
use crate::render::Table;
use crate::screen::Screen;

/// The examples that the lesson is made of.
macro_rules! parts {
    ($($module:ident $file:literal $title:literal;)*) => {
        $(
            #[path = $file]
            #[allow(dead_code, reason = "an example's `main` is not called here")]
            mod $module;
        )*

        /// In their order.
        const PARTS: &[Part] = &[$(Part {
            title: $title,
            source: Source::new(include_str!($file)),
            run: $module::run,
        }),*];
    };
}

parts! {
    data "../../examples/part_1_data.rs" "The data";
    graph "../../examples/part_2_graph.rs" "A graph by hand";
    layers "../../examples/part_3_layers.rs" "Layers";
    sequential "../../examples/part_4_sequential.rs" "A stack of layers";
    functional "../../examples/part_5_functional.rs" "Layers as functions";
}

/// A part of the lesson.
struct Part {
    title: &'static str,
    source: Source,
    run: fn(&mut dyn Page, Pace) -> LessonResult,
}

/// What became of a part.
struct Chapter {
    number: usize,
    part: &'static Part,
    blocks: Vec<Block>,
    seconds: f64,
}

pub(crate) fn run(args: &NotebookArgs, screen: &mut Screen) -> Result<(), Failure> {
    if let Some(part) = args.part.filter(|part| !(1..=PARTS.len()).contains(part)) {
        return Err(Failure::usage(format_args!("--part {part}: expected a part from 1 to {}", PARTS.len())));
    }
    if let Some(path) = &args.html {
        check_writable(path)?;
    }
    let pace = if args.fast { Pace::Fast } else { Pace::Full };
    let wanted = |number: usize| args.part.is_none_or(|part| part == number);
    let mut chapters = Vec::new();
    for (number, part) in (1..).zip(PARTS).filter(|(number, _)| wanted(*number)) {
        screen.print(screen.style.bold(&format!("Part {number}: {}", part.title)));
        let begin = Instant::now();
        let mut told = Told::new(screen);
        (part.run)(&mut told, pace)
            .map_err(|e| Failure::other(format_args!("part {number}, {}: {e}", part.title)))?;
        let blocks = told.into_blocks();
        chapters.push(Chapter { number, part, blocks, seconds: begin.elapsed().as_secs_f64() });
        screen.print("");
        if screen.is_closed() && args.html.is_none() {
            return Ok(());
        }
    }
    screen.print(comparison(&chapters, pace, screen));
    if let Some(path) = &args.html {
        write_page(path, &chapters, pace)?;
        screen.print(format!("The lesson as a page: {}", path.display()));
    }
    Ok(())
}

fn write_page(path: &Path, chapters: &[Chapter], pace: Pace) -> Result<(), Failure> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory)
            .map_err(|e| Failure::other(format_args!("{}: cannot make it: {e}", directory.display())))?;
    }
    Ok(write_atomically(path, html::page(chapters, pace).as_bytes())?)
}

/// What was compared with the exercise: (part, what, ours, theirs).
fn comparisons(chapters: &[Chapter]) -> impl Iterator<Item = (usize, &str, f64, f64)> {
    chapters.iter().flat_map(|chapter| {
        chapter.blocks.iter().filter_map(|block| match block {
            Block::Compare { what, ours, theirs } => Some((chapter.number, what.as_str(), *ours, *theirs)),
            _ => None,
        })
    })
}

fn comparison(chapters: &[Chapter], pace: Pace, screen: &Screen) -> String {
    let mut table = Table::default();
    table.row(["", "here", "exercise", "difference"]);
    let mut any = false;
    for (part, what, ours, theirs) in comparisons(chapters) {
        any = true;
        let cells = [format!("part {part}: {what}"), percent(ours), percent(theirs), points(ours - theirs)];
        table.row(cells);
    }
    let times: Vec<String> =
        chapters.iter().map(|chapter| format!("part {} {:.1} s", chapter.number, chapter.seconds)).collect();
    let note = if pace == Pace::Fast { "\n(a tenth of the epochs: the figures are lower)" } else { "" };
    let heading = screen.style.bold("Beside what the exercise reports");
    let table = if any { format!("{heading}\n{}{note}\n", table.text().trim_end()) } else { String::new() };
    format!("{table}Time: {}", times.join(", "))
}

/// `91.15 %`
fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// `+0.25`
fn points(difference: f64) -> String {
    format!("{:+.2}", 100.0 * difference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_begins_with_a_step_and_every_step_has_code() {
        for part in PARTS {
            let steps = part.source.steps();
            assert!(!steps.is_empty(), "{}", part.title);
            for step in steps {
                assert!(!step.code.trim().is_empty(), "{}: {}", part.title, step.title);
                assert!(!step.code.contains("page.cell("), "{}: {}", part.title, step.title);
            }
        }
    }
}
