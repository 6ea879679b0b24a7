//! Logs: to standard error, as text on a terminal and as JSON elsewhere.
//!
//! Only this program's own lines go below `warn`: libraries for HTTP and
//! databases log what they carry, and they carry secrets. The library for
//! macaroons logs what strangers send it as errors, so it has no say at all.

mod line;

use std::io::IsTerminal;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Says which lines are wanted, as in `info` or `symbolon_server=trace`.
const LEVEL: &str = "SYMBOLON_LOG";
/// Says in which form: `json` or `text`.
const FORM: &str = "SYMBOLON_LOG_FORM";

/// A variable that says nothing that a log can follow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unclear {
    #[error(
        "{LEVEL} is a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or a list as in `info,symbolon_server=debug`"
    )]
    Level,
    #[error("{FORM} is `json` or `text`")]
    Form,
}

/// Starts logging. Where the environment cannot be followed nothing is begun: a
/// log that says less than was meant is found out when it is needed.
pub(crate) fn start() -> Result<(), Unclear> {
    let said = |name| std::env::var(name).unwrap_or_default();
    let wanted = wanted(&said(LEVEL))?;
    let is_terminal = std::io::stderr().is_terminal();
    let json = match &*said(FORM) {
        "json" => true,
        "text" => false,
        "" => !is_terminal,
        _ => return Err(Unclear::Form),
    };
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal);
    let lines = if json {
        lines.event_format(line::Json).boxed()
    } else {
        lines.with_target(false).boxed()
    };
    let registry = tracing_subscriber::registry()
        .with(wanted)
        .with(lines.with_filter(filter_fn(may_be_logged)));
    // A second start, as tests could make, changes nothing.
    let _ = registry.try_init();
    Ok(())
}

/// Which lines are wanted. A bare word is a level, though the library would take
/// any other for the name of a part, and then log nothing else.
fn wanted(text: &str) -> Result<EnvFilter, Unclear> {
    let is_clear = |part: &str| part.contains(['=', '[']) || part.parse::<LevelFilter>().is_ok();
    let mut parts = text.split(',');
    if !parts.all(|part| part.is_empty() || is_clear(part)) {
        return Err(Unclear::Level);
    }
    let builder = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    builder.parse(text).map_err(|_| Unclear::Level)
}

fn may_be_logged(line: &Metadata<'_>) -> bool {
    let is_own = line.target().starts_with("symbolon");
    let is_grave = *line.level() <= tracing::Level::WARN;
    is_own || is_grave && !line.target().starts_with("libmacaroon")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_not_followed() {
        for clear in [
            "",
            "info",
            "WARN",
            "off",
            "info,symbolon_server=debug",
            "warn,",
        ] {
            assert!(wanted(clear).is_ok(), "{clear}");
        }
        for unclear in [
            "nonsense",
            "infos",
            "info,symbolon_server",
            "symbolon_server=loud",
        ] {
            assert!(wanted(unclear).is_err(), "{unclear}");
        }
    }
}
