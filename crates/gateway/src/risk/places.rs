//! Where addresses are, by a table that the operator brings: networks in CIDR
//! notation, each with latitude and longitude in degrees.
//!
//! Spec: RFC 4632 §3.1

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;

/// How large a table may be, in bytes.
const MAX_BYTES: u64 = 128 * 1024 * 1024;
/// How many networks it may have.
const MAX_NETWORKS: usize = 2_000_000;
/// The radius of the Earth, in kilometres.
const EARTH_KM: f64 = 6_371.0;

/// A point on the Earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    latitude: f32,
    longitude: f32,
}

impl Point {
    /// How far it is to another point along the surface, in kilometres.
    pub(crate) fn distance_km(self, other: Self) -> f64 {
        let radians = |degrees: f32| f64::from(degrees).to_radians();
        let (from, to) = (radians(self.latitude), radians(other.latitude));
        let across = radians(other.longitude) - radians(self.longitude);
        let half = |angle: f64| (angle / 2.0).sin().powi(2);
        let chord = half(to - from) + from.cos() * to.cos() * half(across);
        2.0 * EARTH_KM * chord.clamp(0.0, 1.0).sqrt().asin()
    }
}

/// A table of places.
#[derive(Default)]
pub struct Places {
    /// By the length of the prefix and whether it is of IPv4; the longest last.
    by_length: BTreeMap<(u8, bool), HashMap<u128, Point>>,
    count: usize,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Places({})", self.count)
    }
}

/// Why a table cannot be read, and on which line; line 0 means the whole file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlacesMistake {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

impl Places {
    /// Reads a table from a file.
    pub fn load(path: &Path) -> Result<Self, PlacesMistake> {
        let whole = |message: String| PlacesMistake { line: 0, message };
        let size = std::fs::metadata(path).map_err(|error| whole(error.to_string()))?;
        if size.len() > MAX_BYTES {
            return Err(whole("the table is larger than 128 MiB".into()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| whole(error.to_string()))?;
        Self::read(&text)
    }

    /// Reads a table: `network,latitude,longitude` a line. Lines that are empty
    /// or begin with `#` are left out, and so is a first line with the names of
    /// the columns.
    pub fn read(text: &str) -> Result<Self, PlacesMistake> {
        let mut own = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || at == 0 && line.starts_with("network") {
                continue;
            }
            let mistake = |message: &str| PlacesMistake {
                line: u32::try_from(at + 1).unwrap_or(u32::MAX),
                message: message.to_owned(),
            };
            let (network, point) = row(line).ok_or_else(|| {
                mistake(
                    "a line is `network,latitude,longitude`, for example `192.0.2.0/24,48.2,16.4`",
                )
            })?;
            if own.count == MAX_NETWORKS {
                return Err(mistake("there are more than two million networks"));
            }
            let (bits, is_v4) = bits(network.addr());
            let table = own.by_length.entry((network.prefix_len(), is_v4));
            if table.or_default().insert(bits, point).is_some() {
                return Err(mistake("this network stands in an earlier line, too"));
            }
            own.count += 1;
        }
        Ok(own)
    }

    /// Where an address is: as its narrowest network says.
    pub(crate) fn find(&self, address: IpAddr) -> Option<Point> {
        let (bits, of_v4) = bits(address);
        let tables = self.by_length.iter().rev();
        let mut tables = tables.filter(|((_, is_v4), _)| *is_v4 == of_v4);
        tables.find_map(|((length, _), table)| table.get(&(bits & mask(*length, of_v4))).copied())
    }
}

fn row(line: &str) -> Option<(IpNet, Point)> {
    let mut cells = line.split(',').map(str::trim);
    let (network, latitude, longitude) = (cells.next()?, cells.next()?, cells.next()?);
    let degrees = |text: &str, most: f32| {
        let own: f32 = text.parse().ok()?;
        (own.abs() <= most).then_some(own)
    };
    let point = Point {
        latitude: degrees(latitude, 90.0)?,
        longitude: degrees(longitude, 180.0)?,
    };
    match cells.next() {
        None => Some((network.parse::<IpNet>().ok()?.trunc(), point)),
        Some(_) => None,
    }
}

/// An address as a number, and whether it is of IPv4.
pub(super) fn bits(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(own) => (u128::from(u32::from(own)), true),
        IpAddr::V6(own) => (u128::from(own), false),
    }
}

/// The bits of a prefix.
pub(super) fn mask(length: u8, is_v4: bool) -> u128 {
    let width: u32 = if is_v4 { 32 } else { 128 };
    let behind = width.saturating_sub(u32::from(length));
    match u128::MAX.checked_shl(behind) {
        Some(mask) if is_v4 => mask & u128::from(u32::MAX),
        Some(mask) => mask,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_a_table_holds_is_read_or_refused(text in "[0-9a-f:./,# \n-]{0,80}|.{0,40}", address: [u8; 16]) {
            if let Ok(places) = Places::read(&text) {
                let found = places.find(IpAddr::from(address));
                if let Some(point) = found {
                    prop_assert!(point.distance_km(point) < 0.001);
                }
            }
        }
    }

    const TABLE: &str = "network,latitude,longitude\n# Vienna, and a part of it in Sydney\n192.0.2.0/24,48.2,16.4\n192.0.2.128/25, -33.9, 151.2\n2001:db8::/32,40.7,-74.0\n0.0.0.0/0,0,0\n";

    #[test]
    fn the_narrowest_network_says_where_an_address_is() {
        let places = Places::read(TABLE).unwrap();
        let at = |address: &str| places.find(address.parse().unwrap());
        let (vienna, sydney) = (at("192.0.2.1").unwrap(), at("192.0.2.200").unwrap());
        assert!((vienna.latitude - 48.2).abs() < 0.01);
        assert!((sydney.longitude - 151.2).abs() < 0.01);
        assert_eq!(at("::ffff:192.0.2.1"), Some(vienna));
        assert!(at("2001:db8::7").is_some() && at("198.51.100.1").is_some());
        assert_eq!(at("2001:dead::1"), None);
        let far = vienna.distance_km(sydney);
        assert!((15_900.0..16_100.0).contains(&far), "{far}");
        assert!(vienna.distance_km(vienna) < 0.001);
    }

    #[test]
    fn a_table_with_a_mistake_says_in_which_line() {
        for (bad, line) in [
            ("192.0.2.0/24,48.2", 1),
            ("192.0.2.0/24,91,0", 1),
            ("192.0.2.0/24,NaN,0", 1),
            ("192.0.2.0/24,1,1\nhere,1,1", 2),
            ("192.0.2.0/24,1,1\n192.0.2.7/24,2,2", 2),
            ("192.0.2.0/24,1,1,x", 1),
        ] {
            assert_eq!(Places::read(bad).unwrap_err().line, line, "{bad}");
        }
    }
}
