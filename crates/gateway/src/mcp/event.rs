//! Identifiers of events, tied to whoever a stream is for: what another caller
//! was sent resumes nothing. The rest of a stream goes on as it comes.
//!
//! Spec: MCP 2025-11-25 Transports
//! Spec: WHATWG HTML §9.2.5, §9.2.6

use super::answer::BYTE_ORDER_MARK;

/// How much of a line is kept until it ends, in bytes: more than any identifier
/// that can be tied.
const MAX_LINE_BYTES: usize = 2048;

/// Ties the identifiers of a stream, wherever it is cut.
pub(super) struct Identifiers<T> {
    tie: T,
    /// The line so far, while it may be an identifier.
    line: Vec<u8>,
    /// Whether the line is none.
    is_other: bool,
    /// Whether a line has ended.
    has_begun: bool,
}

impl<T: Fn(&str) -> Option<String>> Identifiers<T> {
    pub(super) const fn new(tie: T) -> Self {
        Self {
            tie,
            line: Vec::new(),
            is_other: false,
            has_begun: false,
        }
    }

    /// Takes bytes, and gives what may go on.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    self.end_line(&mut out);
                    out.push(*byte);
                }
                byte if self.is_other => out.push(*byte),
                byte if self.line.len() < MAX_LINE_BYTES => {
                    self.line.push(*byte);
                    if !self.may_be_identifier() {
                        self.is_other = true;
                        out.append(&mut self.line);
                    }
                }
                _ => {}
            }
        }
        out
    }

    /// The line behind the mark that readers drop.
    fn field(&self) -> &[u8] {
        let marked = self.line.strip_prefix(BYTE_ORDER_MARK);
        marked.filter(|_| !self.has_begun).unwrap_or(&self.line)
    }

    fn may_be_identifier(&self) -> bool {
        let is_mark = !self.has_begun && BYTE_ORDER_MARK.starts_with(&self.line);
        let field = self.field();
        is_mark || NAME.starts_with(field) || field.starts_with(NAME)
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        match self.field().strip_prefix(NAME) {
            Some(value) => {
                let value = value.strip_prefix(b" ").unwrap_or(value);
                let tied = std::str::from_utf8(value).ok().and_then(&self.tie);
                match tied {
                    Some(tied) => {
                        out.extend_from_slice(NAME);
                        out.push(b' ');
                        out.extend_from_slice(tied.as_bytes());
                    }
                    // From here on nothing can be resumed.
                    None if value.is_empty() => out.extend_from_slice(NAME),
                    // No header could carry it: the one of before stays.
                    None => out.push(b':'),
                }
            }
            None => out.extend_from_slice(&self.line),
        }
        self.line.clear();
        self.is_other = false;
        self.has_begun = true;
    }
}

const NAME: &[u8] = b"id:";

#[cfg(test)]
mod tests {
    use super::*;

    fn tied(text: &str, size: usize) -> String {
        let tie = |own: &str| (!own.is_empty() && own.len() < 100).then(|| format!("{own}.mac"));
        let mut identifiers = Identifiers::new(tie);
        let chunks = text.as_bytes().chunks(size);
        let out = chunks.flat_map(|own| identifiers.take(own)).collect();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_identifier_is_tied_however_it_is_cut_and_nothing_else_is_touched() {
        let long = format!("id: {}\ndata: 1\n\n", "x".repeat(5000));
        for (sent, wanted) in [
            (
                "id: 7\ndata: {\"id\": 7}\n\n",
                "id: 7.mac\ndata: {\"id\": 7}\n\n",
            ),
            (
                "id:7\r\ndata: id: 7\r\n\r\n",
                "id: 7.mac\r\ndata: id: 7\r\n\r\n",
            ),
            ("event: a\rid: 7\r\r", "event: a\rid: 7.mac\r\r"),
            ("\u{feff}id: 7\n\n", "id: 7.mac\n\n"),
            ("\u{feff}data: 7\n\n", "\u{feff}data: 7\n\n"),
            ("id: 1\nid: 2\n\n", "id: 1.mac\nid: 2.mac\n\n"),
            ("id\nid:\n\n", "id\nid:\n\n"),
            (
                "ident: 1\ni: 2\n id: 3\n: id: 4\n\n",
                "ident: 1\ni: 2\n id: 3\n: id: 4\n\n",
            ),
            (&long, ":\ndata: 1\n\n"),
            ("data: 1\nid: 7", "data: 1\n"),
        ] {
            for size in 1..8 {
                assert_eq!(tied(sent, size), wanted, "{size} {sent:?}");
            }
        }
    }
}
