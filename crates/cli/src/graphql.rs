//! The graphs behind routes of the gateway: files read, and what is wrong with
//! them told as everything else of the configuration is.

use std::sync::Arc;

use symbolon_gateway as guard;
use symbolon_server::config::{Finding, GatewayRoute};

/// For each route the graph behind it, where there is one.
pub(crate) type Graphs = Vec<Option<Arc<guard::Graph>>>;

/// Reads the graphs of all routes; everything that is wrong is found, not only
/// the first.
#[cfg(feature = "graphql")]
pub(crate) fn graphs(routes: &[GatewayRoute]) -> Result<Graphs, Vec<Finding>> {
    let mut graphs = Graphs::new();
    let mut findings = Vec::new();
    for route in routes {
        match route.graphql.as_ref().map(read::graph).transpose() {
            Ok(graph) => graphs.push(graph.map(Arc::new)),
            Err(wrong) => findings.extend(wrong),
        }
    }
    match findings.is_empty() {
        true => Ok(graphs),
        false => Err(findings),
    }
}

/// None is built in, and a file that asks for one was refused.
#[cfg(not(feature = "graphql"))]
pub(crate) fn graphs(routes: &[GatewayRoute]) -> Result<Graphs, Vec<Finding>> {
    Ok(routes.iter().map(|_| None).collect())
}

#[cfg(feature = "graphql")]
mod read {
    use std::path::Path;

    use symbolon_gateway as guard;
    use symbolon_server::config::{Finding, GraphqlLimit, Location, RouteGraphql};

    /// How large a schema, its rules or a manifest may be, in bytes.
    const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

    /// The graph of a route.
    pub(super) fn graph(own: &RouteGraphql) -> Result<guard::Graph, Vec<Finding>> {
        let source = |path: &Path| source(path, own);
        let settings = guard::GraphSettings {
            schema: source(&own.schema)?,
            rules: own.rules.as_deref().map(source).transpose()?,
            manifest: own.manifest.as_deref().map(source).transpose()?,
            policies: own.policies.iter().cloned().map(policy).collect(),
            on_denied: match own.on_denied {
                "null" => guard::OnDenied::Null,
                _ => guard::OnDenied::Refuse,
            },
            mode: match own.mode {
                "shadow" => guard::Mode::Shadow,
                _ => guard::Mode::Enforce,
            },
            introspection: match own.introspection.as_deref() {
                None => guard::Introspection::Off,
                Some([]) => guard::Introspection::Open,
                Some(scopes) => guard::Introspection::Scopes(scopes.to_vec()),
            },
            persisted: match own.persisted {
                "also" => guard::Persisted::Also,
                "only" => guard::Persisted::Only,
                _ => guard::Persisted::Off,
            },
            automatic_persisted: own.automatic_persisted,
            subscriptions: own.subscriptions,
            limits: limits(&own.limits),
        };
        guard::Graph::new(settings).map_err(|all| all.into_iter().map(finding).collect())
    }

    fn policy((name, (claim, value)): (String, (String, String))) -> (String, guard::ClaimHas) {
        (name, guard::ClaimHas { claim, value })
    }

    fn source(path: &Path, own: &RouteGraphql) -> Result<guard::Source, Vec<Finding>> {
        let unreadable = |why: String| {
            let message = format!("`{}` cannot be read: {why}", path.display());
            let code = "gateway.route.graphql.unreadable";
            vec![Finding::of_file(code, own.at.clone(), message)]
        };
        let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
        if length.len() > MAX_FILE_BYTES {
            return Err(unreadable("it has more than 32 MiB".into()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Ok(guard::Source {
            name: path.display().to_string(),
            text,
        })
    }

    fn finding(mistake: guard::Mistake) -> Finding {
        let at = Location {
            file: mistake.file.into(),
            line: mistake.line,
            column: mistake.column,
        };
        Finding::of_file("gateway.route.graphql.invalid", at, mistake.message)
    }

    fn limits(own: &[(GraphqlLimit, u64)]) -> guard::Limits {
        let mut limits = guard::Limits::default();
        for (limit, value) in own {
            let (value, short) = (*value, usize::try_from(*value).unwrap_or(usize::MAX));
            match limit {
                GraphqlLimit::RequestBytes => limits.max_request_bytes = value,
                GraphqlLimit::DocumentBytes => limits.max_document_bytes = short,
                GraphqlLimit::Tokens => limits.max_tokens = short,
                GraphqlLimit::Depth => limits.max_depth = value,
                GraphqlLimit::Fields => limits.max_fields = value,
                GraphqlLimit::Aliases => limits.max_aliases = value,
                GraphqlLimit::RootFields => limits.max_root_fields = value,
                GraphqlLimit::Directives => limits.max_directives = value,
                GraphqlLimit::Cost => limits.max_cost = value,
                GraphqlLimit::Batch => limits.max_batch = short,
                GraphqlLimit::ListSize => limits.list_size = value,
                GraphqlLimit::AnswerBytes => limits.max_answer_bytes = short,
            }
        }
        limits
    }
}
