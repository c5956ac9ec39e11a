//! `config.toml`: the options of `nn train` in a file, under the names that they have on the command line.
//!
//! Nothing here knows one option from another. Reading turns entries into arguments that stand before those of the
//! command line; writing asks clap what every option's value is. An option that is added to `nn train` is in the file.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Id};
use toml::{Table, Value};

use crate::failure::Failure;

/// Options that say where to read the file and where results go: a run that is repeated must not overwrite the first. It
/// also begins at the beginning.
const NOT_WRITTEN: [&str; 10] =
    ["config", "out", "no-out", "json", "save", "quiet", "checkpoint", "resume", "log", "tensorboard"];

/// The arguments that stand for the file's entries. Those that the command line says otherwise, or that it excludes, are
/// left out: `given` is what it says.
///
/// # Errors
/// If the file can't be read, is not TOML, or has an entry that is no option of the command; the message names it.
pub(super) fn read(path: &Path, command: &Command, given: &ArgMatches) -> Result<Vec<OsString>, Failure> {
    let wrong = |problem: String| Failure::other(format_args!("{}: {problem}", path.display()));
    let text = fs::read_to_string(path).map_err(|e| wrong(format!("cannot read: {e}")))?;
    let table: Table =
        toml::from_str(&text).map_err(|e| wrong(format!("expected TOML: {}", in_one_line(&e, &text))))?;
    let unknown: Vec<String> =
        table.keys().filter(|key| option(command, key).is_none()).map(|key| format!("\"{key}\"")).collect();
    if !unknown.is_empty() {
        return Err(wrong(format!(
            "{} is no option of nn train; expected names such as \"hidden\" or \"batch-size\", see nn train --help",
            unknown.join(", ")
        )));
    }
    let said: Vec<&Id> = given.ids().filter(|id| from_command_line(given, id)).collect();
    let mut arguments = Vec::new();
    for (key, value) in &table {
        let Some(arg) = option(command, key) else { continue };
        if said.iter().any(|id| *id == arg.get_id() || exclude(command, arg, id)) {
            continue;
        }
        let text = argument(arg, key, value)
            .ok_or_else(|| wrong(format!("{key} = {value}: expected {}", expected(arg))))?;
        arguments.extend(text.map(OsString::from));
    }
    Ok(arguments)
}

/// What `toml` says, without the lines of the file that it draws.
fn in_one_line(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

/// An option by its name in the file; the file itself can't be one.
fn option<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(key) && key != "config" && key != "help")
}

fn is_flag(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn expected(arg: &Arg) -> &'static str {
    if is_flag(arg) { "true or false" } else { "a number, a text, or a list of them" }
}

/// The entry as one argument: none for a flag that is off; `None` if the value is of no use.
fn argument(arg: &Arg, key: &str, value: &Value) -> Option<Option<String>> {
    if is_flag(arg) {
        return value.as_bool().map(|on| on.then(|| format!("--{key}")));
    }
    let text = match value {
        Value::Array(parts) => parts.iter().map(scalar).collect::<Option<Vec<_>>>()?.join(","),
        value => scalar(value)?,
    };
    Some(Some(format!("--{key}={text}")))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(_) | Value::Float(_) => Some(value.to_string()),
        _ => None,
    }
}

fn from_command_line(matches: &ArgMatches, id: &Id) -> bool {
    matches.value_source(id.as_str()) == Some(ValueSource::CommandLine)
}

/// Whether one option can't be given beside another.
fn exclude(command: &Command, arg: &Arg, other: &Id) -> bool {
    let conflicts = |a: &Arg, b: &Id| command.get_arg_conflicts_with(a).iter().any(|c| c.get_id() == b);
    let mutual =
        command.get_arguments().find(|a| a.get_id() == other).is_some_and(|o| conflicts(o, arg.get_id()));
    let one_of_a_group = command.get_groups().any(|group| {
        let has = |id: &Id| group.get_args().any(|member| member == id);
        has(arg.get_id()) && has(other) && !group.clone().is_multiple()
    });
    conflicts(arg, other) || mutual || one_of_a_group
}

/// The options in effect as the text of a file: those that were given and the defaults of all others, so that a later
/// version with other defaults trains the same.
///
/// # Errors
/// If a value is not Unicode, which TOML is.
pub(super) fn write(command: &Command, matches: &ArgMatches) -> Result<String, Failure> {
    let said: Vec<&Id> = matches.ids().filter(|id| from_command_line(matches, id)).collect();
    let mut text = String::from(
        "# The options of nn train, under the names that they have on the command line; what is given there beside\n\
         # --config overrides them. Relative paths begin where the program is started.\n",
    );
    let mut heading = None;
    for arg in command.get_arguments() {
        let Some(key) = arg.get_long().filter(|key| !NOT_WRITTEN.contains(key)) else { continue };
        let given = said.contains(&arg.get_id());
        if !given && said.iter().any(|id| exclude(command, arg, id)) {
            continue;
        }
        let value = if is_flag(arg) {
            matches.get_flag(arg.get_id().as_str()).then_some(Value::Boolean(true))
        } else {
            value_of(matches, arg)?
        };
        let Some(value) = value else { continue };
        if heading != arg.get_help_heading() {
            heading = arg.get_help_heading();
            let _ = writeln!(text, "\n# {}", heading.unwrap_or("Other"));
        }
        let _ = writeln!(text, "{key} = {value}");
    }
    Ok(text)
}

fn value_of(matches: &ArgMatches, arg: &Arg) -> Result<Option<Value>, Failure> {
    // `help` and `version` have no values, and clap panics on what a command does not have.
    let Some(raw) = matches.try_get_raw(arg.get_id().as_str()).ok().flatten() else { return Ok(None) };
    let text = |raw: &OsStr| {
        raw.to_str().map(str::to_owned).ok_or_else(|| {
            let name = arg.get_long().unwrap_or_default();
            Failure::usage(format_args!(
                "--{name} {}: is not Unicode, and can't be written to config.toml; rename it, or give --no-out",
                raw.to_string_lossy()
            ))
        })
    };
    let texts = raw.map(text).collect::<Result<Vec<_>, _>>()?;
    Ok(match &*texts {
        [] => None,
        [.., last] if !matches!(arg.get_action(), ArgAction::Append) => Some(typed(last)),
        // What may be given again is a list.
        all => Some(Value::Array(all.iter().map(|text| typed(text)).collect())),
    })
}

/// A number where it is written back as it was, a text otherwise.
fn typed(text: &str) -> Value {
    let same = |value: &Value| value.to_string() == text;
    let integer = text.parse().ok().map(Value::Integer).filter(same);
    let float = text.parse().ok().filter(|f: &f64| f.is_finite()).map(Value::Float).filter(same);
    integer.or(float).unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::ArgGroup;

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn command() -> Command {
        let value = |name: &'static str| Arg::new(name).long(name);
        Command::new("train")
            .args_override_self(true)
            .args([
                value("config"),
                value("hidden").default_value("512"),
                value("lr"),
                value("seed").default_value("0"),
                value("decay").conflicts_with("schedule"),
                value("schedule").default_value("constant"),
                value("clip-norm"),
                value("clip-value"),
                value("out"),
                value("nesterov").action(ArgAction::SetTrue),
                value("metric").action(ArgAction::Append).value_delimiter(','),
            ])
            .group(ArgGroup::new("clipping").args(["clip-norm", "clip-value"]))
    }

    fn message(failure: Failure) -> String {
        let (Failure::Usage(message) | Failure::Other(message)) = failure;
        message
    }

    /// What a file's entries and a command line come to, as a file again.
    fn merged(file: &str, line: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
        let (dir, command) = (tempfile::tempdir()?, command());
        let path = dir.path().join("config.toml");
        fs::write(&path, file)?;
        let line = line.iter().map(OsString::from);
        let given =
            command.clone().try_get_matches_from(std::iter::once("train".into()).chain(line.clone()))?;
        let read = read(&path, &command, &given).map_err(message)?;
        let all = std::iter::once("train".into()).chain(read).chain(line);
        let written = write(&command, &command.clone().try_get_matches_from(all)?).map_err(message)?;
        Ok(written.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn options_come_back_from_what_was_written_and_the_command_line_overrides_them() -> TestResult {
        let all = "hidden = \"128,64\"; lr = 0.5; seed = 7; schedule = \"constant\"; nesterov = true";
        let file = "hidden = [128, 64]\nlr = 0.5\nseed = 7\nnesterov = true\n";
        assert_eq!(merged(file, &[])?, all);
        assert_eq!(merged(&all.replace("; ", "\n"), &[])?, all);
        assert_eq!(merged(file, &["--lr", "1e-3", "--out", "x"])?, all.replace("0.5", "\"1e-3\""));
        assert_eq!(merged("nesterov = false", &[])?, "hidden = 512; seed = 0; schedule = \"constant\"");
        Ok(())
    }

    #[test]
    fn what_is_given_several_times_is_a_list_that_the_command_line_replaces() -> TestResult {
        let of = |file: &str, line: &[&str]| {
            merged(file, line).map(|text| text.replace("hidden = 512; seed = 0; ", ""))
        };
        let both = "schedule = \"constant\"; metric = [\"recall_7\", \"precision_7\"]";
        assert_eq!(of("", &["--metric", "recall_7", "--metric", "precision_7"])?, both);
        assert_eq!(of(&both.replace("; ", "\n"), &[])?, both);
        assert_eq!(of("metric = \"recall_7,precision_7\"", &[])?, both);
        assert_eq!(
            of("metric = \"recall_7\"", &["--metric", "recall_1"])?,
            both.replace("recall_7\", \"precision_7", "recall_1")
        );
        Ok(())
    }

    #[test]
    fn what_the_command_line_excludes_is_left_out() -> TestResult {
        let of =
            |file, line: &[&str]| merged(file, line).map(|text| text.replace("hidden = 512; seed = 0; ", ""));
        assert_eq!(of("schedule = \"constant\"", &["--decay", "0.5"])?, "decay = 0.5");
        assert_eq!(of("decay = 0.5", &["--schedule", "cosine:5"])?, "schedule = \"cosine:5\"");
        assert_eq!(of("clip-norm = 1", &["--clip-value", "2"])?, "schedule = \"constant\"; clip-value = 2");
        assert!(merged("clip-norm = 1\nclip-value = 2", &[]).is_err());
        Ok(())
    }

    #[test]
    fn entries_that_are_no_options_or_have_no_use_are_errors_that_name_them() {
        for (file, words) in [
            ("hiden = 5\nlr = 1", "\"hiden\" is no option"),
            ("config = \"other\"", "\"config\" is no option"),
            ("batch_size = 5", "\"batch_size\" is no option"),
            ("lr = true", "lr = true: expected a number"),
            ("nesterov = 1", "nesterov = 1: expected true or false"),
            ("[lr]\nmax = 1", "lr = "),
            ("seed = 1\nlr = = 1", "line 2"),
        ] {
            let error = merged(file, &[]).map_err(|e| e.to_string()).err().unwrap_or_default();
            assert!(error.contains(words) && error.contains("config.toml: "), "{file}: {error}");
        }
    }

    #[test]
    fn texts_that_are_written_as_numbers_read_back_as_they_were() {
        for text in [
            "0.001",
            "1e-7",
            "512",
            "1e3",
            "007",
            "nan",
            "inf",
            "18446744073709551615",
            "128,64",
            "0x10",
            "1_000",
            "",
        ] {
            assert_eq!(scalar(&typed(text)).as_deref(), Some(text));
        }
    }
}
