//! Reads a stream of server-sent events within limits, however it is cut up.
//!
//! Spec: WHATWG HTML §9.2.5, §9.2.6

/// How long a line may be, in bytes.
const MAX_LINE: usize = 256 * 1024;

/// An event. What has no data is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name: `message` where it has none.
    pub name: String,
    /// Its one line of data.
    pub data: String,
    /// The place that it stands for.
    pub id: Option<String>,
}

/// Why a stream is not read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// A line is longer than any that is sent.
    TooLong,
    /// It is not text.
    NotText,
    /// An event has several lines of data, or of another field that has one.
    Repeated,
}

/// What was read of a stream so far.
#[derive(Debug, Default)]
pub struct EventReader {
    line: Vec<u8>,
    /// Whether the last byte was the first half of a line's end.
    after_return: bool,
    name: Option<String>,
    data: Option<String>,
    id: Option<String>,
}

impl EventReader {
    /// Reads more bytes; what is whole by them is handed to `take`.
    pub fn read<E: From<Unreadable>>(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &rest[..end.unwrap_or(rest.len())];
            if self.line.len() + part.len() > MAX_LINE {
                return Err(Unreadable::TooLong.into());
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.after_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.line);
            if let Some(event) = self.line(&line)? {
                take(event)?;
            }
            // Its room serves the next one.
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    /// Takes a whole line; an empty one ends an event.
    fn line(&mut self, line: &[u8]) -> Result<Option<Event>, Unreadable> {
        let line = std::str::from_utf8(line).map_err(|_| Unreadable::NotText)?;
        if line.is_empty() {
            let (name, id) = (self.name.take(), self.id.take());
            let event = self.data.take().map(|data| Event {
                name: name.unwrap_or_else(|| "message".to_owned()),
                data,
                id,
            });
            return Ok(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let place = match field {
            "event" => &mut self.name,
            "data" => &mut self.data,
            "id" => &mut self.id,
            // A comment, or what nobody here knows.
            _ => return Ok(None),
        };
        match place.replace(value.to_owned()) {
            None => Ok(None),
            Some(_) => Err(Unreadable::Repeated),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<Event>, Unreadable> {
        let (mut reader, mut events) = (EventReader::default(), Vec::new());
        for piece in pieces {
            reader.read(piece, |event| {
                events.push(event);
                Ok::<_, Unreadable>(())
            })?;
        }
        Ok(events)
    }

    fn event(name: &str, data: &str, id: Option<&str>) -> Event {
        Event {
            name: name.into(),
            data: data.into(),
            id: id.map(str::to_owned),
        }
    }

    const STREAM: &[u8] = b": hello\r\n\r\nevent: head\r\nid: 1.2.3\r\ndata: abc\r\n\r\nretry: 5\ndata:x: y\n\nevent: nothing\n\ndata: half";

    #[test]
    fn events_are_read_as_the_standard_says() {
        let expected = [
            event("head", "abc", Some("1.2.3")),
            event("message", "x: y", None),
        ];
        assert_eq!(read(&[STREAM]).unwrap(), expected);
    }

    #[test]
    fn what_is_endless_repeated_or_no_text_is_refused() {
        let endless = vec![b'a'; MAX_LINE];
        assert!(read(&[&endless]).is_ok());
        assert_eq!(read(&[&endless, b"a"]), Err(Unreadable::TooLong));
        assert_eq!(read(&[b"data: a\ndata: b\n"]), Err(Unreadable::Repeated));
        assert_eq!(read(&[b"data: \xff\n"]), Err(Unreadable::NotText));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_stream_is_cut_up(cuts in proptest::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&STREAM[from..cut]);
                from = cut;
            }
            pieces.push(&STREAM[from..]);
            prop_assert_eq!(read(&pieces), read(&[STREAM]));
        }

        #[test]
        fn no_bytes_stop_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&bytes]);
        }
    }
}
