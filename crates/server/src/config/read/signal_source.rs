//! `[[signal_source]]`.

use std::fmt::Display;
use std::sync::Arc;

use symbolon_protocol::OrganizationId;
use symbolon_protocol::uri::is_loopback;
use symbolon_token::Digest;
use symbolon_token::jose::Algorithm;
use url::Url;

use super::super::document::Table;
use super::super::schema::SIGNAL_SOURCE;
use super::super::secret::Given;
use super::super::signal_source::{
    Effect, PollBearer, PollClient, SignalPoll, SignalSource, SubjectName,
};
use super::{Loading, invalid};

/// The keys without which a source means nothing.
const NEEDED: [&str; 4] = ["id", "issuer", "jwks_uri", "audience"];
/// The keys that have the bearer asked for, besides the secret.
const ASKED: [&str; 4] = ["token_endpoint", "client_id", "scope", "resource"];
/// How long the name of a source may be, in bytes.
const MAX_ID_BYTES: usize = 64;
/// How short the bearer of a source may be, in bytes.
const MIN_SECRET_BYTES: usize = 32;

impl Loading<'_> {
    pub(super) fn signal_source(&mut self, table: &Table) -> Option<Arc<SignalSource>> {
        let section = &SIGNAL_SOURCE;
        self.check_keys(table, section);
        for name in NEEDED {
            if !table.has(name) {
                self.add(invalid(section, name, &table.at, "it is missing"));
            }
        }
        let id: Option<String> = self.value(table, section, "id");
        let id = id.filter(|id| {
            let fits = is_name(id);
            if !fits {
                let why = "a name has letters, digits, `-` and `_`, and at most 64 of them";
                self.add(invalid(section, "id", table.place("id"), why));
            }
            fits
        });
        let push = self.secret(table, "push_secret");
        if let Some(given) = &push
            && given.secret.expose().len() < MIN_SECRET_BYTES
        {
            let why = "whoever guesses it can end sessions: it has 32 characters or more";
            self.add(invalid(section, "push_secret", &given.at, why));
        }
        let poll = self.poll(table);
        if push.is_none() && !table.has("poll_url") {
            let why = "a source is heard by `push_secret` or by `poll_url`";
            self.add(invalid(section, "push_secret", &table.at, why));
        }
        let organization: Option<String> = self.value(table, section, "organization");
        let organization = organization.filter(|text| !text.is_empty());
        let organization = organization.map(|text| text.parse::<OrganizationId>());
        let organization = organization.transpose().unwrap_or_else(|error| {
            let at = table.place("organization");
            self.add(invalid(section, "organization", at, &error.to_string()));
            None
        });
        let algorithms: Vec<String> = self.values(table, section, "algorithms");
        if let Some(other) = algorithms
            .iter()
            .find(|own| Algorithm::named(own).is_none())
        {
            let why = format!("`{other}` is no algorithm of signatures");
            self.add(invalid(
                section,
                "algorithms",
                table.place("algorithms"),
                &why,
            ));
        }
        let subjects = self.words(table, "subjects", &SubjectName::ALL);
        let effects = self.words(table, "effects", &Effect::ALL);
        Some(Arc::new(SignalSource {
            jwks_uri: self.address(table, "jwks_uri")?,
            issuer: self.value(table, section, "issuer")?,
            audience: self.value(table, section, "audience")?,
            push: push.map(|given| Digest::of(given.secret.expose())),
            subjects: subjects.unwrap_or_else(|| vec![SubjectName::OwnSubject, SubjectName::Email]),
            effects: effects.unwrap_or_else(|| vec![Effect::SignOut]),
            algorithms,
            poll,
            organization,
            id: id?,
        }))
    }

    /// How its events are fetched: with a bearer that stands here, or with one that
    /// is asked for.
    fn poll(&mut self, table: &Table) -> Option<SignalPoll> {
        let section = &SIGNAL_SOURCE;
        let url = self.address(table, "poll_url");
        let fixed = self.secret(table, "poll_token");
        let secret = self.secret(table, "client_secret");
        let asks = secret.is_some() || ASKED.iter().any(|name| table.has(name));
        if let (Some(given), true) = (&fixed, asks) {
            let why = "a bearer stands here or is asked for with `client_id`, and not both";
            self.add(invalid(section, "poll_token", &given.at, why));
            return None;
        }
        if asks {
            if !table.has("poll_url") {
                let why = "it is missing, and a bearer to be shown there is asked for";
                self.add(invalid(section, "poll_url", &table.at, why));
            }
            let client = self.poll_client(table, secret)?;
            let bearer = PollBearer::Asked(client);
            return Some(SignalPoll { url: url?, bearer });
        }
        let url = url?;
        let Some(given) = fixed else {
            let why = "`poll_url` needs the bearer that is shown there, or the client that asks `token_endpoint` for one";
            self.add(invalid(section, "poll_token", &table.at, why));
            return None;
        };
        let bearer = PollBearer::Fixed(given.secret);
        Some(SignalPoll { url, bearer })
    }

    /// As whom the bearer is asked for.
    fn poll_client(&mut self, table: &Table, secret: Option<Given>) -> Option<PollClient> {
        let section = &SIGNAL_SOURCE;
        let why = "a bearer is asked for with `token_endpoint`, `client_id` and `client_secret`";
        for name in ["token_endpoint", "client_id"] {
            if !table.has(name) {
                self.add(invalid(section, name, &table.at, why));
            }
        }
        if secret.is_none() {
            self.add(invalid(section, "client_secret", &table.at, why));
        }
        let token_endpoint = self.address(table, "token_endpoint");
        Some(PollClient {
            client_id: self.value(table, section, "client_id")?,
            scope: self.value(table, section, "scope"),
            resource: self.value(table, section, "resource"),
            token_endpoint: token_endpoint?,
            client_secret: secret?.secret,
        })
    }

    /// An https address, or one of this machine while the issuer is, too.
    fn address(&mut self, table: &Table, name: &str) -> Option<String> {
        let text: String = self.value(table, &SIGNAL_SOURCE, name)?;
        let url = Url::parse(&text);
        let is_local = |url: &Url| is_loopback(url) && !self.is_off_loopback();
        match &url {
            Ok(url) if url.scheme() == "https" => Some(text),
            Ok(url) if url.scheme() == "http" && is_local(url) => Some(text),
            _ => {
                let why = "it is no https URL";
                self.add(invalid(&SIGNAL_SOURCE, name, table.place(name), why));
                None
            }
        }
    }

    /// Words of a closed list; `None` where the key is not there.
    fn words<W: Copy + Display>(
        &mut self,
        table: &Table,
        name: &str,
        known: &[W],
    ) -> Option<Vec<W>> {
        if !table.has(name) {
            return None;
        }
        let texts: Vec<String> = self.values(table, &SIGNAL_SOURCE, name);
        let mut found = Vec::new();
        for text in texts {
            match known.iter().find(|word| word.to_string() == text) {
                Some(word) => found.push(*word),
                None => {
                    let all: Vec<String> = known.iter().map(ToString::to_string).collect();
                    let why = format!("`{text}` is none of {}", all.join(", "));
                    self.add(invalid(&SIGNAL_SOURCE, name, table.place(name), &why));
                }
            }
        }
        Some(found)
    }
}

fn is_name(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(allowed)
}
