//! JSON that means one thing to every reader: no member twice, no text that is
//! not Unicode, no number that overflows, nothing nested without end. Order and
//! digits stay as they were.
//!
//! Spec: RFC 8259 §4, §6, §7, §8.1
//! Spec: RFC 7493 §2

use std::collections::HashSet;

/// How many digits and signs a number may have.
const MAX_NUMBER_BYTES: usize = 64;
/// From how many members on names are compared by hash.
const MANY: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Truth(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// Why something is no such JSON.
pub(crate) type NotJson = &'static str;

impl Json {
    /// Reads a whole text.
    pub(crate) fn parse(bytes: &[u8], max_depth: usize) -> Result<Self, NotJson> {
        let text = std::str::from_utf8(bytes).map_err(|_| "the JSON is not UTF-8")?;
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(max_depth)?;
        reader.blanks();
        match reader.at == text.len() {
            true => Ok(value),
            false => Err("something stands behind the JSON"),
        }
    }

    /// The member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let own = members.iter().find(|(own, _)| own == name);
        own.map(|(_, value)| value)
    }

    /// The text, where it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Writes it.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Truth(true) => out.push_str("true"),
            Self::Truth(false) => out.push_str("false"),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Writes a text with its quotes.
pub(crate) fn write_text(text: &str, out: &mut String) {
    use std::fmt::Write as _;

    out.push('"');
    for own in text.chars() {
        match own {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0}'..='\u{1f}' | '\u{7f}' => {
                // Writing into a string never fails.
                let _ = write!(out, "\\u{:04x}", u32::from(own));
            }
            _ => out.push(own),
        }
    }
    out.push('"');
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let is_there = self.text[self.at..].starts_with(word);
        if is_there {
            self.at += word.len();
        }
        is_there
    }

    fn value(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take("null") => Ok(Json::Null),
            _ if self.take("true") => Ok(Json::Truth(true)),
            _ if self.take("false") => Ok(Json::Truth(false)),
            _ => Err("the JSON is broken"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, NotJson> {
        let depth = depth.checked_sub(1).ok_or("the JSON is nested too deep")?;
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut seen = HashSet::new();
        self.blanks();
        if self.take("}") {
            return Ok(Json::Object(members));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err("a member of the JSON has no name");
            }
            let name = self.string()?;
            let is_twice = match members.len() {
                0..MANY => members.iter().any(|(own, _)| *own == name),
                MANY => {
                    seen = members.iter().map(|(own, _)| own.clone()).collect();
                    !seen.insert(name.clone())
                }
                _ => !seen.insert(name.clone()),
            };
            if is_twice {
                return Err("a member of the JSON stands there twice");
            }
            self.blanks();
            if !self.take(":") {
                return Err("the JSON is broken");
            }
            members.push((name, self.value(depth)?));
            self.blanks();
            if self.take("}") {
                return Ok(Json::Object(members));
            }
            if !self.take(",") {
                return Err("the JSON is broken");
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, NotJson> {
        let depth = depth.checked_sub(1).ok_or("the JSON is nested too deep")?;
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.take("]") {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.blanks();
            if self.take("]") {
                return Ok(Json::List(items));
            }
            if !self.take(",") {
                return Err("the JSON is broken");
            }
        }
    }

    fn number(&mut self) -> Result<Json, NotJson> {
        let begin = self.at;
        self.take("-");
        if !self.take("0") {
            self.digits()?;
        }
        if self.take(".") {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let digits = &self.text[begin..self.at];
        let is_finite = digits.parse::<f64>().is_ok_and(f64::is_finite);
        if digits.len() > MAX_NUMBER_BYTES || !is_finite {
            return Err("a number of the JSON is too large");
        }
        Ok(Json::Number(digits.to_owned()))
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match self.at > begin {
            true => Ok(()),
            false => Err("a number of the JSON is none"),
        }
    }

    fn string(&mut self) -> Result<String, NotJson> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = |own: u8| own == b'"' || own == b'\\' || own < 0x20;
            let end = rest.bytes().position(plain).ok_or("a text has no end")?;
            text.push_str(&rest[..end]);
            self.at += end + 1;
            match rest.as_bytes()[end] {
                b'"' => return Ok(text),
                b'\\' => text.push(self.escaped()?),
                _ => return Err("a text holds a control character"),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, NotJson> {
        let own = self.peek().ok_or("a text has no end")?;
        self.at += 1;
        Ok(match own {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err("a text holds an escape that is none"),
        })
    }

    fn unicode(&mut self) -> Result<char, NotJson> {
        let half = "a text holds half a character";
        let first = self.four()?;
        let point = match first {
            0 => return Err("a text holds NUL"),
            0xd800..0xdc00 => {
                if !self.take("\\u") {
                    return Err(half);
                }
                let second = self.four()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(half);
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            _ => first,
        };
        char::from_u32(point).ok_or(half)
    }

    fn four(&mut self) -> Result<u32, NotJson> {
        let broken = "a text holds an escape that is none";
        let digits = self.text.get(self.at..self.at + 4).ok_or(broken)?;
        if !digits.bytes().all(|own| own.is_ascii_hexdigit()) {
            return Err(broken);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<String, NotJson> {
        let mut out = String::new();
        Json::parse(text.as_bytes(), 8)?.write(&mut out);
        Ok(out)
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":"\u0000"}"#,
            r#"["\ud800"]"#,
            r#"["\ud800\u0041"]"#,
            "[\"\u{0}\"]",
            "[1e999]",
            "[1,]",
            "[01]",
            "[.5]",
            "[1.]",
            "[+1]",
            "[NaN]",
            "[Infinity]",
            "{a:1}",
            "{'a':1}",
            "[1] 2",
            "[1] //",
            "\u{feff}[1]",
            "",
            "[[[[[[[[[1]]]]]]]]]",
            "\"a\nb\"",
            "\"\\x41\"",
            "\"",
            "{\"a\"",
            "[\"\\u00é\"]",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(Json::parse(b"[\"\xff\"]", 8).is_err());
        let long = format!("[{}]", "1".repeat(65));
        assert!(of(&long).is_err());
        let many: Vec<String> = (0..40).map(|at| format!("\"m{}\":1", at % 39)).collect();
        assert!(of(&format!("{{{}}}", many.join(","))).is_err());
    }

    #[test]
    fn what_means_one_thing_keeps_its_order_and_its_digits() {
        let text = r#"{"z":1.10,"a":[true,false,null,-0,1E5],"é":"\"\\ \n/😀","":{}}"#;
        assert_eq!(of(text).as_deref(), Ok(text));
        let escaped = of(r#""\ud83d\ude00\/""#);
        assert_eq!(escaped.as_deref(), Ok("\"😀/\""));
    }
}
