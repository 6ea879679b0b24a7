//! The command line, read: what cannot be understood is told with a stable
//! code, and with how the command is written.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches};

use crate::Arguments;

/// How deep commands are nested at most: `symbolon client create`.
const DEPTH: usize = 3;

/// Reads the arguments, or answers what the program ends with.
pub(crate) fn parse() -> Result<Arguments, ExitCode> {
    let matches = command().try_get_matches();
    let parsed = matches.and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Where nobody reads the help any more, there is nobody to tell.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // As above.
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            let told = error.render().to_string();
            let told = told.strip_prefix("error: ").unwrap_or(&told);
            refuse(told.trim_end())
        }
    })
}

/// How wide a line of an example may be: a terminal has no less.
const WIDTH: usize = 78;

/// Examples as they can be pasted: a long command goes on in the next line, and
/// is not cut wherever the terminal ends.
fn folded(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let is_example = line.starts_with("  ") && !line.starts_with("   ");
        if !is_example || line.chars().count() <= WIDTH {
            return line.to_owned();
        }
        let mut parts = line.split(" --");
        let mut out = parts.next().unwrap_or_default().to_owned();
        let mut length = out.chars().count();
        for part in parts {
            let own = part.chars().count() + " --".len();
            if length + own + " \\".len() > WIDTH {
                out.push_str(" \\\n   ");
                length = "   ".len();
            }
            out.push_str(" --");
            out.push_str(part);
            length += own;
        }
        out
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Says what cannot be understood, and answers what the program ends with.
pub(crate) fn refuse(told: &str) -> ExitCode {
    eprintln!("error[usage]: {told}");
    ExitCode::from(2)
}

/// The commands, each with its usage written out. Otherwise a mistake would be
/// answered by a line in which every option with a default looks needed.
fn command() -> Command {
    let mut command = Arguments::command();
    command.build();
    written_out(command, DEPTH)
}

fn written_out(mut command: Command, depth: usize) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let names: Vec<String> = command
        .get_subcommands()
        .map(|own| own.get_name().to_owned())
        .collect();
    let after = command
        .get_after_help()
        .map(|text| folded(&text.to_string()));
    let command = command.override_usage(usage);
    let command = match after {
        Some(after) => command.after_help(after),
        None => command,
    };
    if depth == 0 {
        return command;
    }
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |own| written_out(own, depth - 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_help_with_an_example_and_a_usage_of_its_own() {
        fn check(command: &Command) {
            let name = command
                .get_display_name()
                .unwrap_or_else(|| command.get_name());
            if command.get_name() == "help" {
                return;
            }
            let after = command.get_after_help().map(ToString::to_string);
            let has_example = after.is_some_and(|after| after.contains("symbolon "));
            assert!(has_example, "{name} has no example");
            command.get_subcommands().for_each(check);
        }
        check(&command());
    }

    #[test]
    fn options_with_a_default_do_not_look_needed() {
        let line = ["symbolon", "client", "create"];
        let told = command()
            .try_get_matches_from(line)
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("symbolon client create [OPTIONS] <ID>"),
            "{told}"
        );
        assert!(!told.contains("--admin <URL>"), "{told}");
    }

    #[test]
    fn a_list_of_grants_names_both_ways_to_choose() {
        let line = ["symbolon", "grant", "list"];
        let told = command()
            .try_get_matches_from(line)
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("--user") && told.contains("--client"),
            "{told}"
        );
    }

    /// The commands below one, with itself.
    fn each(command: &Command) -> Vec<&Command> {
        let below = command.get_subcommands().flat_map(each);
        std::iter::once(command).chain(below).collect()
    }

    #[test]
    fn every_example_can_be_pasted() {
        let command = command();
        for own in each(&command) {
            let after = own.get_after_help().map(ToString::to_string);
            for line in after.unwrap_or_default().lines() {
                let length = line.chars().count();
                assert!(
                    !line.starts_with("  ") || length <= WIDTH,
                    "`{}`: {line}",
                    own.get_name()
                );
            }
        }
    }

    #[test]
    fn a_long_command_goes_on_in_the_next_line() {
        let long = format!(
            "Example:\n  symbolon a --one {} --two {}",
            "x".repeat(40),
            "y".repeat(40)
        );

        let folded = folded(&long);

        let lines: Vec<&str> = folded.lines().collect();
        assert_eq!(lines.len(), 3, "{folded}");
        assert!(
            lines[1].ends_with(" \\") && lines[2].starts_with("    --two"),
            "{folded}"
        );
        assert_eq!(folded.replace(" \\\n   ", ""), long);
    }
}
