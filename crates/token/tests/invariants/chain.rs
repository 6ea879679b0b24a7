//! A chain of tokens, each made of one before it as the server makes it.

use symbolon_protocol::{ResourceIdentifier, Scopes, Timestamp};
use symbolon_token::macaroon::{self, Caveat};
use symbolon_token::{Actor, Ancestor, Authority, Binding, Derivation, Narrowing};

use crate::form::{Form, Seen, opened, read, write};

/// What somebody asks for: less, or more, or the same.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) scopes: Option<Scopes>,
    pub(crate) audience: Option<ResourceIdentifier>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) binding: Option<Binding>,
}

/// What is done.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A token anew of what was granted.
    Refresh(Asked),
    /// Another client's token of the last one.
    Exchange(Asked),
    /// The same, with somebody who acts.
    Delegate(Asked, String),
    /// The holder narrows by itself.
    Attenuate(Vec<Caveat>),
}

/// One token and what it was made of.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) parent: Seen,
    pub(crate) child: Seen,
    /// Which link made the parent; `None` where that is the grant.
    from: Option<usize>,
}

/// Whether a link is the token of a name, or was made of it over however many.
pub(crate) fn comes_of(links: &[Link], at: usize, token: u64) -> bool {
    let mut next = Some(at);
    while let Some(at) = next {
        if links[at].child.marks.token == Some(token) {
            return true;
        }
        next = links[at].from;
    }
    false
}

/// The authority at its first API.
pub(crate) fn at_first(own: &Authority) -> Authority {
    let audience = own.audiences()[0].clone();
    let only = Narrowing {
        audience: Some(audience),
        ..Narrowing::default()
    };
    own.narrow(only).unwrap()
}

/// The last token: what it permits, what is read of it, its text where its
/// holder can narrow it, which link made it.
struct Last {
    authority: Authority,
    seen: Seen,
    macaroon: Option<String>,
    link: Option<usize>,
}

/// Takes the steps that are allowed. What would widen makes no link.
pub(crate) fn walk(root: &Authority, steps: Vec<(Step, Form)>) -> Vec<Link> {
    let granted = || Last {
        authority: root.clone(),
        seen: Seen::of(root),
        macaroon: None,
        link: None,
    };
    let (granted, mut last) = (granted(), granted());
    let mut links: Vec<Link> = Vec::new();
    for (step, form) in steps {
        let is_anew = matches!(step, Step::Refresh(_));
        let from = if is_anew { &granted } else { &last };
        let Some((authority, text, form)) = take(from, step, form) else {
            continue;
        };
        let child = read(form, &text).unwrap();
        links.push(Link {
            parent: from.seen.clone(),
            child: child.clone(),
            from: from.link,
        });
        last = Last {
            authority,
            seen: child,
            macaroon: (form == Form::Macaroon).then_some(text),
            link: Some(links.len() - 1),
        };
    }
    links
}

/// A step's authority, its text, and the form of that.
fn take(from: &Last, step: Step, form: Form) -> Option<(Authority, String, Form)> {
    let (asked, actor) = match step {
        Step::Attenuate(caveats) => {
            let text = macaroon::attenuate(from.macaroon.as_deref()?, &caveats).unwrap();
            return opened(&text).map(|left| (left, text, Form::Macaroon));
        }
        Step::Refresh(asked) => (asked, None),
        Step::Exchange(asked) => (asked, Some(None)),
        Step::Delegate(asked, subject) => {
            let issuer = None;
            (asked, Some(Some(Actor { subject, issuer })))
        }
    };
    let derivation = actor.map(|actor| Derivation {
        client: "api".parse().unwrap(),
        actor,
        from: unrecorded(&from.seen),
    });
    let first = || from.authority.audiences().first().cloned();
    let narrowed = from.authority.narrow(Narrowing {
        scopes: asked.scopes,
        audience: asked.audience.or_else(first),
        expires: asked.expires,
        binding: asked.binding,
        derivation,
        position: None,
    });
    let authority = narrowed.ok()?;
    // What a form cannot hold is written in another.
    let written = write(form, &authority).map(|text| (text, form));
    let written = written.or_else(|| Some((write(Form::Jwt, &authority)?, Form::Jwt)));
    written.map(|(text, form)| (authority, text, form))
}

/// The names of a token that are not on its own record yet.
fn unrecorded(seen: &Seen) -> Vec<Ancestor> {
    let mut names = seen.marks.ancestors();
    names.retain(|own| !seen.marks.lineage.contains(own));
    names
}
