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

/// Starts logging.
pub(crate) fn start() {
    let wanted = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var(LEVEL)
        .from_env_lossy();
    let form = std::env::var(FORM).unwrap_or_default();
    let is_terminal = std::io::stderr().is_terminal();
    let json = form == "json" || form.is_empty() && !is_terminal;
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
}

fn may_be_logged(line: &Metadata<'_>) -> bool {
    let is_own = line.target().starts_with("symbolon");
    let is_grave = *line.level() <= tracing::Level::WARN;
    is_own || is_grave && !line.target().starts_with("libmacaroon")
}
