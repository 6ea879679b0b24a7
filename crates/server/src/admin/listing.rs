//! Lists in pages: `?after=` the last one seen, `&limit=` how many.

use std::str::FromStr;

use http::StatusCode;
use serde_json::{Value, json};

use crate::respond;

use super::call::Call;
use super::failed::{Outcome, Refused};

/// How many entries a page has where the caller does not say.
const DEFAULT_LIMIT: u32 = 100;
/// How many entries a page may have.
const MAX_LIMIT: u32 = 1000;

/// Which part of a list is asked for.
#[derive(Debug)]
pub(super) struct Page<K> {
    /// The last entry that the caller has seen.
    pub(super) after: Option<K>,
    /// At most how many.
    pub(super) limit: u32,
}

impl Call {
    /// Which part of a list is asked for.
    pub(super) fn page<K: FromStr>(&self) -> Result<Page<K>, Refused> {
        let query = self.query()?;
        page(query.one("after"), query.one("limit"))
    }
}

fn page<K: FromStr>(after: Option<&str>, limit: Option<&str>) -> Result<Page<K>, Refused> {
    let after = after.map(str::parse).transpose();
    let after =
        after.map_err(|_| Refused::member("after", "is not what a list answered as `next`"))?;
    let limit = match limit {
        None => DEFAULT_LIMIT,
        Some(text) => {
            let number = text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit));
            number.ok_or_else(|| {
                Refused::member("limit", format!("is a number from 1 to {MAX_LIMIT}"))
            })?
        }
    };
    Ok(Page { after, limit })
}

impl<K> Page<K> {
    /// Answers with what the store found: `next` stands there where more may follow.
    pub(super) fn answer<T>(
        &self,
        found: &[T],
        key: fn(&T) -> String,
        shown: fn(&T) -> Value,
    ) -> Outcome {
        let is_full = found.len() >= self.limit as usize;
        let next = found.last().filter(|_| is_full).map(key);
        let mut body = json!({ "items": found.iter().map(shown).collect::<Vec<_>>() });
        if let Some(next) = next {
            body["next"] = next.into();
        }
        Ok(respond::json(StatusCode::OK, &body))
    }
}

impl<K: ToString> Page<K> {
    /// Cuts the page out of a list that the store gives whole.
    pub(super) fn cut<T>(&self, mut all: Vec<T>, key: fn(&T) -> String) -> Vec<T> {
        all.sort_by_key(key);
        if let Some(after) = self.after.as_ref().map(K::to_string) {
            all.retain(|item| key(item) > after);
        }
        all.truncate(self.limit as usize);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_outside_the_range_are_refused() {
        assert_eq!(page::<String>(None, None).unwrap().limit, 100);
        assert_eq!(page::<String>(None, Some("1000")).unwrap().limit, 1000);
        for bad in ["0", "1001", "-1", "x", "99999999999"] {
            assert!(page::<String>(None, Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_of_a_whole_list_follow_each_other() {
        let all = || vec!["c".to_owned(), "a".to_owned(), "b".to_owned()];
        let first = page::<String>(None, Some("2"))
            .unwrap()
            .cut(all(), String::clone);
        let second = page::<String>(Some("b"), Some("2"))
            .unwrap()
            .cut(all(), String::clone);
        assert_eq!(
            (first, second),
            (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()])
        );
    }
}
