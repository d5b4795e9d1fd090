//! Time zones by the names that people give them: IANA's, offsets, and cities.

use jiff::tz::{Offset, TimeZone, db};
use praxis_core::suggest::nearest;

use super::Outcome;

/// Cities and names that IANA's data does not have, with the zone that holds there.
const OTHERS: &[(&str, &str)] = &[
    ("beijing", "Asia/Shanghai"),
    ("peking", "Asia/Shanghai"),
    ("北京", "Asia/Shanghai"),
    ("上海", "Asia/Shanghai"),
    ("深圳", "Asia/Shanghai"),
    ("广州", "Asia/Shanghai"),
    ("中国", "Asia/Shanghai"),
    ("shenzhen", "Asia/Shanghai"),
    ("guangzhou", "Asia/Shanghai"),
    ("香港", "Asia/Hong_Kong"),
    ("台北", "Asia/Taipei"),
    ("东京", "Asia/Tokyo"),
    ("纽约", "America/New_York"),
    ("伦敦", "Europe/London"),
    ("巴黎", "Europe/Paris"),
    ("柏林", "Europe/Berlin"),
    ("san francisco", "America/Los_Angeles"),
    ("seattle", "America/Los_Angeles"),
    ("washington", "America/New_York"),
    ("boston", "America/New_York"),
    ("munich", "Europe/Berlin"),
    ("frankfurt", "Europe/Berlin"),
    ("hamburg", "Europe/Berlin"),
    ("geneva", "Europe/Zurich"),
    ("barcelona", "Europe/Madrid"),
    ("milan", "Europe/Rome"),
    ("mumbai", "Asia/Kolkata"),
    ("delhi", "Asia/Kolkata"),
    ("new delhi", "Asia/Kolkata"),
    ("bangalore", "Asia/Kolkata"),
    ("osaka", "Asia/Tokyo"),
    ("z", "UTC"),
    ("utc", "UTC"),
];

/// Abbreviations of several zones, or of one for half of the year only.
const UNCLEAR: &[&str] = &[
    "cst", "ist", "bst", "ast", "est", "edt", "pst", "pdt", "mst", "mdt", "cdt", "cet", "cest",
    "gst", "sst",
];

/// The zone of this name.
///
/// # Errors
/// Words for one that is not known, or is unclear.
pub(super) fn zone(text: &str) -> Outcome<TimeZone> {
    let text = text.trim();
    let lower = text.to_lowercase();
    if UNCLEAR.contains(&lower.as_str()) {
        return Err(format!(
            "`{text}` is the time of several places, or of half of the year: write a zone such as America/Chicago"
        ));
    }
    let named = OTHERS.iter().find(|(name, _)| *name == lower);
    let name = named.map_or(text, |(_, zone)| *zone);
    if let Ok(zone) = TimeZone::get(name) {
        return Ok(zone);
    }
    if let Some(zone) = offset(&lower) {
        return Ok(zone);
    }
    // A city is the last part of a zone's name.
    let city = lower.replace(' ', "_");
    let names: Vec<String> = db()
        .available()
        .map(|name| name.as_str().to_owned())
        .filter(|name| !name.starts_with("posix/") && !name.starts_with("right/"))
        .collect();
    let city_of = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    if let Some(name) = names
        .iter()
        .find(|name| name.contains('/') && city_of(name) == city)
        && let Ok(zone) = TimeZone::get(name)
    {
        return Ok(zone);
    }
    let near = nearest(text, names.iter().map(String::as_str));
    let near = near.or_else(|| {
        let found = names
            .iter()
            .find(|name| nearest(&city, [city_of(name).as_str()]).is_some());
        found.map(String::as_str)
    });
    Err(match near {
        Some(near) => format!("there is no time zone `{text}`; did you mean `{near}`?"),
        None => {
            format!("there is no time zone `{text}`: write one such as Europe/Berlin, or +08:00")
        }
    })
}

/// `+08:00`, `utc+8`, `gmt-3:30`.
fn offset(text: &str) -> Option<TimeZone> {
    let text = text
        .strip_prefix("utc")
        .or_else(|| text.strip_prefix("gmt"))
        .unwrap_or(text);
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match text[1..].split_once(':') {
        Some(parts) => parts,
        None => (&text[1..], "0"),
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    Some(offset.to_time_zone())
}

/// How a zone is called.
pub(super) fn name(zone: &TimeZone) -> String {
    match (zone.iana_name(), zone.to_fixed_offset()) {
        (Some(name), _) => name.to_owned(),
        (None, Ok(offset)) => offset.to_string(),
        (None, Err(_)) => "local".to_owned(),
    }
}
