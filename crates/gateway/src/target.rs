//! The target of a request in the one form that is judged and sent.
//!
//! Spec: RFC 3986 §2.1, §3.3, §6.2.2
//! Spec: RFC 9112 §3.2
//!
//! | what is sent | what becomes of it |
//! |---|---|
//! | an escape of an unreserved character (`%61`, `%7E`) | decoded once, judged and sent so |
//! | escapes in small letters (`%c3`) | capitals, judged and sent so |
//! | `/../`, `/./`, `%2e%2e`, `.%2E` | 400 `path-dot-segment` |
//! | `//`, an empty last segment | 400 `path-empty-segment` |
//! | `%2F`, `%5C`, `\` | 400 `path-separator` |
//! | `;`, `%3B` | 400 `path-parameter` |
//! | `%25`: an escape within an escape | 400 `path-double-escape` |
//! | `%3F`, `%23` | 400 `path-delimiter` |
//! | `%00` to `%1F`, `%7F`, escaped C1 controls | 400 `path-control` |
//! | `%`, `%zz`, `%u002e` | 400 `path-broken-escape` |
//! | escapes that are not UTF-8 (`%C0%AF`, `%FF`) | 400 `path-not-text` |
//! | characters that only look like `/ \ . ; % ? #` (`%EF%BC%8F`) | 400 `path-look-alike` |
//! | any other character that RFC 3986 keeps out of a path, unescaped | 400 `path-character` |
//! | `http://host/path`, `*`, `host:port` | 400 `target-form` |
//! | more than 8 KiB | 414 `target-long` |
//! | a method with small letters (`delete`), which some services read as capitals | 400 `method-small` |
//! | a query that names a method (`_method=DELETE`), which some services take for the request's | 400 `query-method` |
//!
//! A fragment (`#…`) is cut off where the request is read, so it is neither
//! judged nor sent. The query is sent byte for byte, and chooses nothing.

use http::Method;
use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

use crate::problem::Problem;

/// How long path and query may be together, in bytes.
const MAX_TARGET_BYTES: usize = 8 * 1024;

/// Path and query in their one form. Only [`read`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(PathAndQuery);

impl Target {
    /// The path.
    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }

    /// The same path with another query, without any where that is empty.
    #[cfg(feature = "graphql")]
    pub(crate) fn with_query(&self, query: &str) -> Result<Self, Problem> {
        let whole = match query.is_empty() {
            true => self.path().to_owned(),
            false => format!("{}?{query}", self.path()),
        };
        if whole.len() > MAX_TARGET_BYTES {
            return Err(LONG);
        }
        let parsed = whole.parse().map(Self);
        parsed.map_err(|_| Problem::bad("target-form", "the target of the request is a path"))
    }

    /// Path and query, as the upstream gets them.
    pub(crate) fn path_and_query(&self) -> &PathAndQuery {
        &self.0
    }
}

const LONG: Problem = Problem::new(414, "target-long", "path and query are longer than 8 KiB");

/// Reads the target of a request. `is_http2` says whether scheme and host
/// belong into it.
pub(crate) fn read(method: &Method, uri: &Uri, is_http2: bool) -> Result<Target, Problem> {
    let form = Problem::bad("target-form", "the target of the request is a path");
    if method.as_str().bytes().any(|own| own.is_ascii_lowercase()) {
        return Err(METHOD_SMALL);
    }
    if *method == Method::CONNECT || (uri.scheme().is_some() && !is_http2) {
        return Err(form);
    }
    let sent = uri.path_and_query().ok_or(form)?;
    if sent.as_str().len() > MAX_TARGET_BYTES {
        return Err(LONG);
    }
    let query = sent.query();
    if query.is_some_and(|query| !query.bytes().all(|own| own.is_ascii_graphic())) {
        return Err(Problem::bad(
            "query-character",
            "the query holds a character that has to be escaped",
        ));
    }
    if query.is_some_and(|query| query.split(['&', ';']).any(names_method)) {
        return Err(QUERY_METHOD);
    }
    let path = normal_path(sent.path())?;
    let whole = match query {
        None if path == sent.path() => return Ok(Target(sent.clone())),
        None => path,
        Some(query) => format!("{path}?{query}"),
    };
    // Both halves hold what such a text may hold and nothing else.
    whole.parse().map(Target).map_err(|_| form)
}

/// Path and query of a target in their one form, or the code with which it is
/// refused: what [`Settings`](crate::Settings) routes are compared with.
pub fn one_form(target: &str) -> Result<String, &'static str> {
    let uri: Uri = target.parse().map_err(|_| "target-form")?;
    let read = read(&Method::GET, &uri, false);
    let read = read.map_err(Problem::code)?;
    Ok(read.path_and_query().as_str().to_owned())
}

/// Whether services could take a parameter for the method that is meant: `_method`,
/// `httpMethod`, `X-HTTP-Method-Override` and their kind, with whatever marks stand
/// between the letters. A parameter that is called `method` alone has other uses.
fn names_method(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    // Some services read `%u0058` as a letter.
    if name.contains("%u") || name.contains("%U") {
        return true;
    }
    let name = percent_decode_str(name).decode_utf8_lossy();
    let is_letter = char::is_alphanumeric;
    let is_marked = !name.starts_with(is_letter);
    // Behind it stands the key of a list (`_method[]`).
    let list = name.trim_start_matches(|own| !is_letter(own));
    let whole = list.split('[').next().unwrap_or_default();
    let letters = whole.chars().filter(|own| is_letter(*own));
    let letters: String = letters.map(|own| own.to_ascii_lowercase()).collect();
    METHOD_NAMES.contains(&&*letters) || letters == "method" && is_marked
}

const METHOD_NAMES: [&str; 6] = [
    "httpmethod",
    "httpmethodoverride",
    "methodoverride",
    "xhttpmethod",
    "xhttpmethodoverride",
    "xmethodoverride",
];

fn normal_path(path: &str) -> Result<String, Problem> {
    let inner = path.strip_prefix('/').ok_or(Problem::bad(
        "target-form",
        "the target of the request is a path",
    ))?;
    let mut out = String::with_capacity(path.len());
    if inner.is_empty() {
        out.push('/');
    }
    for segment in inner.split('/').filter(|_| !inner.is_empty()) {
        out.push('/');
        push_segment(segment, &mut out)?;
    }
    Ok(out)
}

/// Adds a segment in its one form, or says why it has none.
fn push_segment(segment: &str, out: &mut String) -> Result<(), Problem> {
    if segment.is_empty() {
        return Err(EMPTY);
    }
    let begin = out.len();
    let mut meant = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            check_plain(byte)?;
            meant.push(byte);
            out.push(char::from(byte));
            continue;
        }
        let digit = |byte: Option<u8>| {
            let byte = byte.filter(u8::is_ascii_hexdigit).ok_or(BROKEN)?;
            char::from(byte).to_digit(16).ok_or(BROKEN)
        };
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        let value = u8::try_from(value).map_err(|_| BROKEN)?;
        check_escaped(value)?;
        meant.push(value);
        if is_unreserved(value) {
            out.push(char::from(value));
        } else {
            out.extend([
                '%',
                HEX[usize::from(value >> 4)],
                HEX[usize::from(value & 15)],
            ]);
        }
    }
    let meant = std::str::from_utf8(&meant).map_err(|_| NOT_TEXT)?;
    if matches!(&out[begin..], "." | "..") {
        return Err(DOT);
    }
    if meant.chars().any(char::is_control) {
        return Err(CONTROL);
    }
    if meant.chars().any(is_look_alike) {
        return Err(LOOK_ALIKE);
    }
    Ok(())
}

fn check_plain(byte: u8) -> Result<(), Problem> {
    match byte {
        b'\\' => Err(SEPARATOR),
        b';' => Err(PARAMETER),
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => {
            Ok(())
        }
        own if is_unreserved(own) => Ok(()),
        _ => Err(CHARACTER),
    }
}

fn check_escaped(value: u8) -> Result<(), Problem> {
    match value {
        b'/' | b'\\' => Err(SEPARATOR),
        b';' => Err(PARAMETER),
        b'%' => Err(DOUBLE),
        b'?' | b'#' => Err(DELIMITER),
        own if own.is_ascii_control() => Err(CONTROL),
        _ => Ok(()),
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What compatibility forms turn into a slash, a backslash, a dot, a semicolon,
/// a percent sign or what ends a path (Unicode Standard Annex 15), alone or with
/// others; and signs of mathematics that are drawn like slashes.
const fn is_look_alike(own: char) -> bool {
    matches!(
        own,
        '\u{2024}'..='\u{2026}' | '\u{fe19}' | '\u{fe30}' | '\u{fe52}' | '\u{ff0e}' // dots
        | '\u{2488}'..='\u{249b}' | '\u{33c2}' | '\u{33c7}' | '\u{33d8}' | '\u{1f100}' // with dots
        | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' // slashes
        | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}' // with slashes
        | '\u{2216}' | '\u{29f5}' | '\u{fe68}' | '\u{ff3c}' // backslashes
        | '\u{037e}' | '\u{fe14}' | '\u{fe54}' | '\u{ff1b}' // semicolons
        | '\u{fe6a}' | '\u{ff05}' // percent signs
        | '\u{2047}'..='\u{2049}' | '\u{fe16}' | '\u{fe56}' | '\u{ff1f}' // question marks
        | '\u{fe5f}' | '\u{ff03}' // number signs
    )
}

#[rustfmt::skip]
const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

const METHOD_SMALL: Problem = Problem::bad(
    "method-small",
    "the method has small letters: methods are written in capitals",
);
const QUERY_METHOD: Problem = Problem::bad(
    "query-method",
    "the query names a method, which some services take for that of the request",
);
const DOT: Problem = Problem::bad("path-dot-segment", "the path has a `.` or `..` segment");
const EMPTY: Problem = Problem::bad("path-empty-segment", "the path has an empty segment");
const SEPARATOR: Problem = Problem::bad(
    "path-separator",
    "the path has an escaped slash or a backslash",
);
const PARAMETER: Problem = Problem::bad("path-parameter", "the path has a `;`");
const DOUBLE: Problem = Problem::bad("path-double-escape", "the path has an escaped `%`");
const DELIMITER: Problem = Problem::bad("path-delimiter", "the path has an escaped `?` or `#`");
const CONTROL: Problem = Problem::bad("path-control", "the path has a control character");
const BROKEN: Problem = Problem::bad(
    "path-broken-escape",
    "the path has a `%` that is not followed by two hexadecimal digits",
);
const NOT_TEXT: Problem = Problem::bad("path-not-text", "the path is not UTF-8");
const LOOK_ALIKE: Problem = Problem::bad(
    "path-look-alike",
    "the path has a character that only looks like a separator",
);
const CHARACTER: Problem = Problem::bad(
    "path-character",
    "the path has a character that has to be escaped",
);

#[cfg(test)]
mod tests {
    use symbolon_token::macaroon::PathPattern;

    use super::*;

    fn of(text: &str) -> Result<String, &'static str> {
        one_form(text)
    }

    /// Attack: L324
    #[test]
    fn what_two_programs_could_read_differently_is_refused_by_its_class() {
        for (sent, code) in [
            ("/public/..%2fadmin", "path-separator"),
            ("/public/..%2Fadmin", "path-separator"),
            ("/public/%2e%2e/admin", "path-dot-segment"),
            ("/public/.%2e/admin", "path-dot-segment"),
            ("/public/../admin", "path-dot-segment"),
            ("/./admin", "path-dot-segment"),
            ("/admin/.", "path-dot-segment"),
            ("/admin/%2e", "path-dot-segment"),
            ("//admin", "path-empty-segment"),
            ("/a//admin", "path-empty-segment"),
            ("/admin/", "path-empty-segment"),
            ("/admin;x", "path-parameter"),
            ("/admin;/..;/x", "path-parameter"),
            ("/admin%3bx", "path-parameter"),
            ("/public%5cadmin", "path-separator"),
            ("/public%5c..%5cadmin", "path-separator"),
            ("/%252e%252e/admin", "path-double-escape"),
            ("/a%25%32%66b", "path-double-escape"),
            ("/admin%00", "path-control"),
            ("/admin%0d%0aX:1", "path-control"),
            ("/admin%7f", "path-control"),
            ("/admin%09", "path-control"),
            ("/admin%c2%85", "path-control"),
            ("/admin%3fx=/public", "path-delimiter"),
            ("/admin%23/public", "path-delimiter"),
            ("/admin%", "path-broken-escape"),
            ("/admin%2", "path-broken-escape"),
            ("/%u002e%u002e/admin", "path-broken-escape"),
            ("/%+2fadmin", "path-broken-escape"),
            ("/public/%c0%ae%c0%ae/admin", "path-not-text"),
            ("/public%c0%afadmin", "path-not-text"),
            ("/admin%ff", "path-not-text"),
            ("/public%ef%bc%8fadmin", "path-look-alike"),
            ("/%ef%bc%8e%ef%bc%8e/admin", "path-look-alike"),
            ("/%e2%80%a5/admin", "path-look-alike"),
            ("/public/%ef%b8%b0/admin", "path-look-alike"),
            ("/public/%e2%80%a4%e2%80%a4/admin", "path-look-alike"),
            ("/publi%e2%84%80dmin", "path-look-alike"),
            ("/public%e2%88%96admin", "path-look-alike"),
            ("/admin%ef%b8%94x", "path-look-alike"),
            ("/admin%ef%bc%9fx", "path-look-alike"),
            ("/admin%ef%bc%83x", "path-look-alike"),
            ("/a|b", "path-character"),
            ("/{x}", "path-character"),
            ("/a\"b", "path-character"),
            ("*", "target-form"),
            ("http://host/admin", "target-form"),
            ("/x?a=\u{fc}", "query-character"),
        ] {
            assert_eq!(of(sent), Err(code), "{sent}");
        }
        let long = format!("/{}", "a".repeat(MAX_TARGET_BYTES));
        assert_eq!(of(&long), Err("target-long"));
    }

    /// Services that write methods in capitals themselves would do what a route
    /// for another method lets through.
    ///
    /// Attack: L324
    #[test]
    fn a_method_is_written_in_capitals() {
        let uri: Uri = "/orders/7".parse().unwrap();
        let of = |method: &str| read(&method.parse().unwrap(), &uri, false).map(|_| ());
        for bad in ["delete", "Delete", "gET", "pOST", "purge"] {
            assert_eq!(of(bad).map_err(Problem::code), Err("method-small"), "{bad}");
        }
        for good in ["GET", "DELETE", "PURGE", "VERSION-CONTROL"] {
            assert_eq!(of(good), Ok(()), "{good}");
        }
    }

    /// Attack: L324
    #[test]
    fn a_query_names_no_method() {
        for bad in [
            "_method=DELETE",
            "x=1&_method=DELETE",
            "x=1;_method=DELETE",
            "_METHOD=DELETE",
            "%5fmethod=DELETE",
            "%5F%6d%65thod=DELETE",
            "_method",
            "_method[]=DELETE",
            "_method%5B0%5D=DELETE",
            ".method=DELETE",
            "+_method=DELETE",
            "[method=DELETE",
            "_method%00=DELETE",
            "$method=DELETE",
            "%24method=DELETE",
            "$httpMethod=DELETE",
            "httpMethod=DELETE",
            "_HttpMethod=PATCH",
            "http_method=DELETE",
            "X-HTTP-Method-Override=DELETE",
            "x_http_method_override=DELETE",
            "X-HTTP-Method=DELETE",
            "X-Method-Override=DELETE",
            "_method=GET",
            "%u0058-HTTP-Method-Override=DELETE",
            "%U005Fmethod=DELETE",
        ] {
            let sent = format!("/orders/7?{bad}");
            assert_eq!(of(&sent), Err("query-method"), "{bad}");
        }
        for good in [
            "method=card",
            "payment_method=card",
            "_methods=1",
            "x=_method",
            "x=1?_method=DELETE",
            "filter[_method]=card",
            "httpMethods=1",
            "%E4%BB%98%E6%AC%BEmethod=card",
            "m%C3%A9thode=1",
        ] {
            let sent = format!("/orders/7?{good}");
            assert_eq!(of(&sent).as_deref(), Ok(&*sent), "{good}");
        }
    }

    /// Attack: L324
    #[test]
    fn what_means_one_thing_is_brought_to_one_form_and_the_rest_stays_as_it_is() {
        for (sent, judged) in [
            ("/", "/"),
            ("/orders/7", "/orders/7"),
            ("/%61dmin", "/admin"),
            ("/%7euser/a%2db", "/~user/a-b"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/a%2Bb", "/a%2Bb"),
            ("/a+b,c=d:e@f(g)!$&'*", "/a+b,c=d:e@f(g)!$&'*"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/a..b", "/a..b"),
            ("/x?next=/public/../%2f;//#", "/x?next=/public/../%2f;//"),
            ("/x?", "/x?"),
        ] {
            assert_eq!(of(sent).as_deref(), Ok(judged), "{sent}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_let_through_has_one_form_that_means_what_was_sent(
            sent in r"(/([a-zA-Z0-9~.;:@%\\]|%2[eEfF5]|%5[cC]|%6[1-9a-f]|%[0-9a-fA-F]{2}|%25|\.\.|é){0,5}){1,4}"
        ) {
            let Ok(judged) = of(&sent) else { return Ok(()) };

            proptest::prop_assert_eq!(of(&judged).unwrap(), judged.as_str());
            proptest::prop_assert_eq!(decoded(&judged), decoded(&sent));
            let pattern: PathPattern = "/{*rest}".parse().unwrap();
            proptest::prop_assert!(judged == "/" || pattern.matches(&judged), "{}", judged);
            for text in decoded(&judged).split('/').skip(1) {
                proptest::prop_assert!(!matches!(text, "." | "..") && !text.contains(['\\', ';', '%', '\0']));
            }
        }
    }

    /// What a service that decodes once would read.
    fn decoded(path: &str) -> String {
        let bytes: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
        String::from_utf8(bytes).unwrap()
    }

    /// Attack: L325
    #[test]
    fn query_and_fragment_are_no_part_of_what_is_judged() {
        let uri: Uri = "/admin?x=/public#/public".parse().unwrap();

        let read = read(&Method::GET, &uri, false).unwrap();

        assert_eq!(read.path(), "/admin");
        assert_eq!(read.path_and_query().as_str(), "/admin?x=/public");
    }
}
