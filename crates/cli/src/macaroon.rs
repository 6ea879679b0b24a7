//! `symbolon token attenuate`, and what `inspect` shows of a macaroon: what
//! whoever holds one can do without asking anyone.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use symbolon_client::{Agreement, Caveat, Flaw, Macaroon, ShownCaveat};

#[derive(clap::Args)]
pub(crate) struct AttenuateArguments {
    /// The macaroon; standard input where it is left out
    pub(crate) token: Option<String>,
    /// A caveat to add, as in 'scope = read:orders'; may be given several times
    #[arg(long, value_name = "CAVEAT")]
    caveat: Vec<String>,
    /// A file with a third-party caveat, as the issuer answers it: location, caveat_id, caveat_key
    #[arg(long, value_name = "FILE")]
    third_party: Vec<PathBuf>,
    /// A discharge to bind, last of all; may be given several times
    #[arg(long, value_name = "MACAROON")]
    discharge: Vec<String>,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

/// Prints a narrower macaroon.
pub(crate) fn narrow(token: &str, arguments: &AttenuateArguments) -> anyhow::Result<ExitCode> {
    let asked = [
        arguments.caveat.len(),
        arguments.third_party.len(),
        arguments.discharge.len(),
    ];
    if asked == [0; 3] {
        bail!("say what to add: --caveat 'scope = read:orders'");
    }
    let caveats = arguments.caveat.iter().map(|text| {
        let caveat = text.parse::<Caveat>();
        caveat.with_context(|| format!("`{text}` is no caveat"))
    });
    let caveats = caveats.collect::<anyhow::Result<Vec<_>>>()?;
    let mut agreements = Vec::new();
    for file in &arguments.third_party {
        let text =
            std::fs::read(file).with_context(|| format!("could not read `{}`", file.display()))?;
        let own: Agreement = serde_json::from_slice(&text)
            .with_context(|| format!("`{}` holds no third-party caveat", file.display()))?;
        agreements.push(own);
    }
    match added(token, &caveats, &agreements, &arguments.discharge) {
        Ok(own) if arguments.json => say!("{}", json!({ "token": own.expose() })),
        Ok(own) => say!("{}", own.expose()),
        Err(error) => {
            eprintln!("error[refused]: {error:#}");
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn added(
    token: &str,
    caveats: &[Caveat],
    agreements: &[Agreement],
    discharges: &[String],
) -> Result<Macaroon, Flaw> {
    let mut held = Macaroon::parse(token)?.narrow(caveats)?;
    for agreement in agreements {
        held = held.require(agreement)?;
    }
    if discharges.is_empty() {
        return Ok(held);
    }
    let discharges = discharges.iter().map(|own| Macaroon::parse(own));
    held.present(&discharges.collect::<Result<Vec<_>, _>>()?)
}

/// What a macaroon says; `None` where it cannot be read.
pub(crate) fn document(token: &str) -> Option<Value> {
    let held = Macaroon::parse(token).ok()?;
    let contents = held.contents();
    let discharges: Vec<_> = contents.discharges.iter().map(|own| shown(own)).collect();
    Some(json!({
        "rendering": "macaroon",
        "location": contents.location,
        "checked_by": contents.checked_by,
        "caveats": shown(&contents.caveats),
        "discharges": discharges,
        "note": "nothing was checked; what it permits before its caveats, only who checks it can read",
    }))
}

fn shown(caveats: &[ShownCaveat]) -> Value {
    let each = caveats.iter().map(|caveat| match caveat {
        ShownCaveat::FirstParty { text, flaw: None } => json!({ "caveat": text }),
        ShownCaveat::FirstParty {
            text,
            flaw: Some(flaw),
        } => json!({ "caveat": text, "not_understood": flaw }),
        ShownCaveat::ThirdParty { location, id } => {
            json!({ "third_party": location, "id": id })
        }
    });
    each.collect()
}

/// One line for each caveat.
pub(crate) fn print_caveats(caveats: &[Value]) {
    for caveat in caveats {
        let text = |name: &str| {
            caveat[name]
                .as_str()
                .map(|own| own.replace(char::is_control, " "))
        };
        match (text("caveat"), text("not_understood"), text("third_party")) {
            (Some(own), None, _) => say!("  {own}"),
            (Some(own), Some(flaw), _) => say!("  {own}   NOT UNDERSTOOD: {flaw}"),
            (None, _, Some(place)) => say!("  discharged by {place}"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str =
        "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAAYgfN7nklEcW8b1KEhYBd_psk54XijiqZMB-dcRxgnjjvc";

    #[test]
    fn what_was_added_is_listed_and_what_is_not_understood_is_named() {
        let caveats = ["scope = read:orders", "before = 2026-12-01T18:00:00Z"];
        let caveats: Vec<Caveat> = caveats.iter().map(|own| own.parse().unwrap()).collect();
        let third = json!({
            "location": "https://as.example.com/discharge",
            "caveat_id": "aWQ",
            "caveat_key": "a2V5",
        });
        let third: Agreement = serde_json::from_value(third).unwrap();

        let own = added(ROOT, &caveats, &[third], &[]).unwrap();

        let text = own.expose();
        let shown = document(text).unwrap();
        assert_eq!(shown["location"], "http://example.org/");
        assert_eq!(shown["caveats"][0]["caveat"], "scope = read:orders");
        assert_eq!(shown["caveats"][2]["id"], "aWQ");
        assert!(document("AgE").is_none());
        let bound = added(text, &[], &[], &[ROOT.to_owned()]).unwrap();
        assert!(
            added(bound.expose(), &caveats, &[], &[]).is_err(),
            "discharges come last"
        );
    }
}
