//! What a text is that somebody shows where an access token belongs: its kind,
//! and what was done to it on the way. Nothing here is checked, and nobody is
//! asked: for explaining a refusal, never for deciding.
//!
//! Spec: RFC 6750 §2.1
//! Spec: RFC 7515 §3.1
//! Spec: RFC 7516 §3.1
//! Spec: RFC 7522 §2.1

mod defect;
mod what;

pub use defect::Defect;
pub use what::What;

/// How many defects are undone at most, one after the other.
const MAX_DEFECTS: usize = 6;
/// How long a text may be that is looked at, in bytes.
const MAX_SHOWN_BYTES: usize = 128 * 1024;

/// A text, as far as its form tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognized {
    /// What it is, once what surrounds it is taken away.
    pub what: What,
    /// What was done to it, the outermost first.
    pub defects: Vec<Defect>,
    /// The credential without what could be undone. It is as secret as what
    /// was shown.
    bare: String,
}

impl Recognized {
    /// Looks at a text.
    ///
    /// ```
    /// use symbolon_token::recognize::{Defect, Recognized, What};
    ///
    /// let shown = Recognized::of("\"Bearer sym_rt_abc\"");
    /// assert_eq!(shown.what, What::RefreshToken);
    /// assert_eq!(shown.defects, [Defect::Quotes, Defect::Scheme]);
    /// ```
    pub fn of(text: &str) -> Self {
        if text.len() > MAX_SHOWN_BYTES {
            return Self {
                what: What::Nothing,
                defects: vec![Defect::TooLong],
                bare: String::new(),
            };
        }
        let (mut bare, mut defects) = (text.to_owned(), Vec::new());
        while defects.len() < MAX_DEFECTS
            && let Some((defect, without)) = defect::outermost(&bare)
        {
            defects.push(defect);
            bare = without;
        }
        defects.extend(defect::lasting(&bare));
        Self {
            what: What::of(&bare),
            defects,
            bare,
        }
    }

    /// The credential without what could be undone, where something was undone
    /// and nothing is left that cannot be.
    pub fn repaired(&self) -> Option<&str> {
        let is_undone = self.defects.iter().all(|own| own.is_undone());
        (is_undone && !self.defects.is_empty()).then_some(&*self.bare)
    }

    /// The credential without what could be undone.
    pub fn bare(&self) -> &str {
        &self.bare
    }
}

#[cfg(test)]
mod tests;
