//! The URI that names a key in a PKCS#11 token.
//!
//! Spec: RFC 7512 §2.3, §2.4

use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// A key in a token: which library, which token, which object, and where its
/// PIN is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUri {
    /// The label of the token.
    pub(crate) token: String,
    /// The label of the key.
    pub(crate) object: String,
    /// The library to load.
    pub(crate) module: PathBuf,
    /// The file with the PIN.
    pub(crate) pin: PathBuf,
}

/// Text that names no key in a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a PKCS#11 URI with `token`, `object`, `module-path` and `pin-source` (RFC 7512), as in `pkcs11:token=symbolon;object=master?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/symbolon/pin`: {0}"
)]
pub struct InvalidUri(&'static str);

impl FromStr for TokenUri {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        let rest = text
            .strip_prefix("pkcs11:")
            .ok_or(InvalidUri("it begins otherwise"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut token, mut object) = (None, None);
        for (name, value) in attributes(path, ';')? {
            match name {
                "token" => set(&mut token, value)?,
                "object" => set(&mut object, value)?,
                "type" if value == "secret-key" => {}
                _ => return Err(InvalidUri("it has another attribute before `?`")),
            }
        }
        let (mut module, mut pin) = (None, None);
        for (name, value) in attributes(query, '&')? {
            match name {
                "module-path" => set(&mut module, value)?,
                "pin-source" => set(&mut pin, value)?,
                // Configuration is copied about, and the PIN with it.
                "pin-value" => {
                    return Err(InvalidUri(
                        "`pin-value` is not taken; put the PIN into a file",
                    ));
                }
                _ => return Err(InvalidUri("it has another attribute after `?`")),
            }
        }
        let pin = pin.ok_or(InvalidUri("`pin-source` is missing"))?;
        let pin = pin.strip_prefix("file:").unwrap_or(&pin);
        let pin = pin.strip_prefix("//").unwrap_or(pin);
        Ok(Self {
            token: token.ok_or(InvalidUri("`token` is missing"))?,
            object: object.ok_or(InvalidUri("`object` is missing"))?,
            module: module.ok_or(InvalidUri("`module-path` is missing"))?.into(),
            pin: pin.into(),
        })
    }
}

fn attributes(text: &str, sign: char) -> Result<Vec<(&str, String)>, InvalidUri> {
    let parts = text.split(sign).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part
                .split_once('=')
                .ok_or(InvalidUri("an attribute has no value"))?;
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| InvalidUri("an attribute is not UTF-8"))?;
            Ok((name, value.into_owned()))
        })
        .collect()
}

fn set(place: &mut Option<String>, value: String) -> Result<(), InvalidUri> {
    if value.is_empty() || place.replace(value).is_some() {
        return Err(InvalidUri("an attribute is empty or stands twice"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "pkcs11:token=a%20b;object=master;type=secret-key?module-path=/lib/x.so&pin-source=file:/pin";

    #[test]
    fn a_uri_names_library_token_key_and_pin() {
        let uri: TokenUri = GOOD.parse().unwrap();
        assert_eq!((uri.token.as_str(), uri.object.as_str()), ("a b", "master"));
        assert_eq!(uri.module, PathBuf::from("/lib/x.so"));
        assert_eq!(uri.pin, PathBuf::from("/pin"));
        let plain = GOOD.replace("file:/pin", "/pin");
        assert_eq!(plain.parse::<TokenUri>().unwrap(), uri);
    }

    #[test]
    fn whatever_is_missing_doubled_or_unknown_is_refused() {
        for bad in [
            "",
            "file:/x",
            &GOOD.replace("token=a%20b;", ""),
            &GOOD.replace("object=master;", ""),
            &GOOD.replace("object=master", "object="),
            &GOOD.replace("object=master", "object=master;object=other"),
            &GOOD.replace("secret-key", "private"),
            &GOOD.replace("module-path=/lib/x.so&", ""),
            &GOOD.replace("&pin-source=file:/pin", ""),
            &GOOD.replace("pin-source=file:/pin", "pin-value=1234"),
            &format!("{GOOD}&other=1"),
        ] {
            assert!(bad.parse::<TokenUri>().is_err(), "{bad}");
        }
    }
}
