//! One line of the log as JSON: time, level, the line's own fields, and where it
//! comes from. The names and their order are those of `tracing-subscriber`,
//! whose own writer checks and copies each piece of a line apart; each request
//! has a line or two.
//!
//! Spec: RFC 8259 §4, §7

use std::fmt;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How long lines are for which there is room at once, in bytes.
const USUAL_BYTES: usize = 1024;

/// Writes lines as JSON.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::with_capacity(32);
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Line(Vec::with_capacity(USUAL_BYTES));
        line.0.push(b'{');
        line.add("timestamp", time.as_str());
        line.add("level", event.metadata().level().as_str());
        event.record(&mut line);
        line.add("target", event.metadata().target());
        line.0.extend_from_slice(b"}\n");
        writer.write_str(std::str::from_utf8(&line.0).map_err(|_| fmt::Error)?)
    }
}

/// The members of an object that is not closed yet.
struct Line(Vec<u8>);

impl Line {
    fn add<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) {
        let before = self.0.len();
        if before > 1 {
            self.0.push(b',');
        }
        let written = serde_json::to_writer(&mut self.0, name).and_then(|()| {
            self.0.push(b':');
            serde_json::to_writer(&mut self.0, value)
        });
        if written.is_err() {
            self.0.truncate(before);
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(say: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let own = kept.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Json)
            .with_writer(move || own.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_line_is_one_object_whatever_is_in_it() {
        let nobody: Option<&str> = None;
        let lines = written(|| {
            let text = "a\"b\\c\n{\"timestamp\":\"x\"}\u{7}\u{2028}é";
            tracing::info!(
                text,
                nobody,
                number = -7_i64,
                many = u64::MAX,
                is_good = true,
                share = 0.5,
                shown = %"a\nb",
                debug = ?Some("x"),
                "said {}",
                1
            );
            tracing::error!(share = f64::NAN, "again");
        });

        assert_eq!(lines.len(), 2);
        let mut first = lines[0].clone();
        let time = first["timestamp"].take();
        assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
        assert_eq!(
            first,
            json!({
                "timestamp": null,
                "level": "INFO",
                "message": "said 1",
                "text": "a\"b\\c\n{\"timestamp\":\"x\"}\u{7}\u{2028}é",
                "number": -7,
                "many": u64::MAX,
                "is_good": true,
                "share": 0.5,
                "shown": "a\nb",
                "debug": "Some(\"x\")",
                "target": module_path!(),
            })
        );
        assert_eq!(lines[1]["share"], Value::Null);
        assert_eq!(lines[1]["level"], "ERROR");
    }
}
