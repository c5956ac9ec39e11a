//! The code of each step, cut out of the source of the part that was compiled into this program.

/// The text of a part's file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source(&'static str);

/// A step as it stands in the source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<'s> {
    /// Its title, the first string after `page.cell(`.
    pub(super) title: &'s str,
    /// The lines up to the next step, without their common indentation.
    pub(super) code: String,
}

/// What begins a step in a part's `run`.
const STEP: &str = "    page.cell(";

/// What ends the statement that begins a step.
const STATEMENT_END: &str = ");";

impl Source {
    pub(super) const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// The first comment of the file, up to its first empty line, as one line.
    pub(super) fn about(self) -> String {
        let lines = self.0.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// What stands between `main` and `run`: helpers that the steps call. Empty if there are none.
    pub(super) fn helpers(self) -> &'static str {
        let after_main = self.0.split_once("\nfn main()").and_then(|(_, rest)| rest.split_once("\n}\n"));
        let between = after_main.and_then(|(_, rest)| rest.split_once("pub(crate) fn run("));
        between.map_or("", |(helpers, _)| helpers.trim())
    }

    /// The steps of `run`, in order.
    pub(super) fn steps(self) -> Vec<Step<'static>> {
        let body = self.0.split_once("pub(crate) fn run(").map_or("", |(_, body)| body);
        let body = body.split_once("\n}\n").map_or(body, |(body, _)| body);
        body.split(STEP)
            .skip(1)
            .map(|step| {
                let title = step.split('"').nth(1).unwrap_or_default();
                let code = step.split_once(&format!("{STATEMENT_END}\n")).map_or("", |(_, code)| code);
                Step { title, code: dedent(code) }
            })
            .collect()
    }
}

/// Takes the function body's indentation away, and empty lines at both ends.
fn dedent(code: &str) -> String {
    let lines = code.lines().map(|line| line.strip_prefix("    ").unwrap_or(line.trim_start()));
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = text.trim_end();
    let end = text.strip_suffix("Ok(())").unwrap_or(text);
    end.trim_matches('\n').trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: &str = r#"//! About
//! this.
//!
//!     how to run it

fn main() -> Result {
    tell(run)
}

fn help() {}

pub(crate) fn run(page: &mut dyn Page, _: Pace) -> Result {
    page.cell("One", "first");
    let a = 1;
    if a == 1 {
        page.say("(a);");
    }

    page.cell(
        "Two",
        "second (of two)",
    );
    let b = 2;
    Ok(())
}
"#;

    #[test]
    fn a_step_is_what_stands_between_its_title_and_the_next_one() {
        let source = Source::new(PART);
        assert_eq!((source.about().as_str(), source.helpers()), ("About this.", "fn help() {}"));
        let steps = source.steps();
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].title, "One");
        assert_eq!(steps[0].code, "let a = 1;\nif a == 1 {\n    page.say(\"(a);\");\n}");
        assert_eq!((steps[1].title, steps[1].code.as_str()), ("Two", "let b = 2;"));
    }
}
