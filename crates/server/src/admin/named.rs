//! What is named by others stays, and is told of by whom.

use symbolon_store::Namers;

use super::failed::Refused;

/// How many of each kind are told of.
const FEW: usize = 3;

/// Refuses what would leave names behind that mean nothing, or somebody else.
pub(super) fn check(what: &str, namers: &Namers) -> Result<(), Refused> {
    if namers.is_empty() {
        return Ok(());
    }
    let kinds = [
        told("client", &namers.clients),
        told("resource", &namers.resources),
        told("trusted issuer", &namers.trusted_issuers),
    ];
    let by: Vec<String> = kinds.into_iter().flatten().collect();
    let by = by.join("; ");
    Err(Refused::conflict(format!(
        "{what} is named by {by}; change or delete these first"
    )))
}

/// The first few, and how many there are besides.
fn told<T: std::fmt::Display>(kind: &str, all: &[T]) -> Option<String> {
    let few: Vec<String> = all.iter().take(FEW).map(|own| format!("`{own}`")).collect();
    let plural = if all.len() == 1 { "" } else { "s" };
    let more = match all.len() - few.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!all.is_empty()).then(|| format!("{kind}{plural} {}{more}", few.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_told_and_how_many_more_there_are() {
        let mut namers = Namers::default();
        assert!(check("client `a`", &namers).is_ok());
        namers.resources = vec!["https://api.example".parse().unwrap()];
        namers.clients = (0..5).map(|n| format!("c{n}").parse().unwrap()).collect();

        let refused = check("organization `ty`", &namers).unwrap_err();

        assert_eq!(
            refused.description(),
            "organization `ty` is named by clients `c0`, `c1`, `c2` and 2 more; \
             resource `https://api.example`; change or delete these first"
        );
    }
}
