//! `symbolon trusted-issuer`.

use clap::Subcommand;
use serde_json::{Map, Value};

use super::client::{add_lists, add_set, add_texts};
use super::print::{self, Column};
use super::{Connection, Failed, Page, Target, replace};

const ALL: &str = "trusted-issuers";
const COLUMNS: [Column; 5] = [
    ("ISSUER", "issuer"),
    ("TRUSTED", "trusted"),
    ("RESOURCE", "resource"),
    ("ORGANIZATION", "organization"),
    ("SCOPES", "scopes"),
];

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon trusted-issuer create https://partner.example.net --jwks-uri https://partner.example.net/jwks --resource https://api.example.com --scope read:orders\n  symbolon trusted-issuer distrust https://partner.example.net"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: TrustedIssuerCommand,
}

#[derive(Subcommand)]
enum TrustedIssuerCommand {
    /// Lists trusted issuers
    #[command(after_help = "Example:\n  symbolon trusted-issuer list")]
    List(#[command(flatten)] Page),
    /// Shows a trusted issuer
    #[command(after_help = "Example:\n  symbolon trusted-issuer get https://partner.example.net")]
    Get {
        /// The issuer, as its JWTs name it
        issuer: String,
    },
    /// Trusts an issuer: its JWTs open one resource
    #[command(
        after_help = "Example:\n  symbolon trusted-issuer create https://partner.example.net --jwks-uri https://partner.example.net/jwks --resource https://api.example.com --organization acme --scope read:orders"
    )]
    Create {
        /// The issuer, exactly as its JWTs name it
        issuer: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Changes a trusted issuer
    #[command(
        after_help = "Example:\n  symbolon trusted-issuer update https://partner.example.net --scope read:orders"
    )]
    Update {
        /// The issuer
        issuer: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Deletes an issuer and takes back all that came of its JWTs
    #[command(
        after_help = "Example:\n  symbolon trusted-issuer delete https://partner.example.net"
    )]
    Delete {
        /// The issuer
        issuer: String,
    },
    /// Trusts an issuer again
    #[command(after_help = "Example:\n  symbolon trusted-issuer trust https://partner.example.net")]
    Trust {
        /// The issuer
        issuer: String,
    },
    /// Trusts an issuer no more and takes back all that came of its JWTs
    #[command(
        after_help = "Example:\n  symbolon trusted-issuer distrust https://partner.example.net"
    )]
    Distrust {
        /// The issuer
        issuer: String,
    },
}

#[derive(clap::Args)]
struct Fields {
    /// Where it publishes its keys
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// The one resource that its JWTs open
    #[arg(long, value_name = "IDENTIFIER")]
    resource: Option<String>,
    /// The one organization for which they do
    #[arg(long)]
    organization: Option<String>,
    /// A scope that they give; repeat for several. `update` replaces all of them
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// An algorithm that it signs with; repeat for several. `update` replaces all of them
    #[arg(long = "algorithm", value_name = "ALG")]
    algorithms: Vec<String>,
    /// An audience besides this server that JWTs to be exchanged may name; repeat for several. `update` replaces all of them
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// Any other member, as name=value with JSON or plain text; may repeat
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Fields {
    fn object(self) -> Result<Map<String, Value>, Failed> {
        let mut object = Map::new();
        add_texts(
            &mut object,
            [
                ("jwks_uri", self.jwks_uri),
                ("resource", self.resource),
                ("organization", self.organization),
            ],
        );
        add_lists(
            &mut object,
            [
                ("scopes", self.scopes),
                ("algorithms", self.algorithms),
                ("audiences", self.audiences),
            ],
        );
        add_set(&mut object, &self.set)?;
        Ok(object)
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    let answer = match arguments.command {
        TrustedIssuerCommand::List(page) => {
            let answer = connection.read(&[ALL], &page.pairs()).await?;
            return print::list(&connection, &answer, &COLUMNS);
        }
        TrustedIssuerCommand::Delete { issuer } => {
            connection.delete(&[ALL, &issuer]).await?;
            return print::done(&connection, &format!("trusted issuer {issuer} is deleted"));
        }
        TrustedIssuerCommand::Get { issuer } => connection.read(&[ALL, &issuer], &[]).await?,
        TrustedIssuerCommand::Create { issuer, fields } => {
            let mut object = fields.object()?;
            object.insert("issuer".to_owned(), issuer.into());
            connection.create(&[ALL], &object.into()).await?
        }
        TrustedIssuerCommand::Update { issuer, fields } => {
            replace::update(&connection, &[ALL, &issuer], fields.object()?).await?
        }
        TrustedIssuerCommand::Trust { issuer } => connection.tell(&[ALL, &issuer, "trust"]).await?,
        TrustedIssuerCommand::Distrust { issuer } => {
            connection.tell(&[ALL, &issuer, "distrust"]).await?
        }
    };
    print::one(&connection, &answer)
}
