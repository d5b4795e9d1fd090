//! Personal data and secrets in a text, by rules: what the moderation blocks, masks or flags, and what the check
//! `no_pii` of outputs forbids.
//!
//! Precision goes before recall: a number is found where its checksum proves it, where its form is a kind's own, or
//! where a word before it says what it is. A word before it that says otherwise (an order, a version) is believed,
//! too. Time is linear in the text. Left out: names, addresses of houses, dates of birth, which no rule tells from
//! other words; that is a model's work.

mod addresses;
mod cards;
mod checksums;
mod emails;
mod fold;
mod identity;
mod mask;
mod phones;
mod rules;
mod secrets;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use mask::{Masked, Unmasker, mask};

/// What of these kinds is in a text: sorted, without overlaps. Where two would overlap, the proven one stays, then the
/// longer one. What a number is does not depend on the kinds that are asked for.
pub fn find(text: &str, kinds: &Kinds) -> Vec<Finding> {
    let folded = fold::folded(text);
    let mut found = Vec::new();
    emails::search(&folded, &mut found);
    rules::search(&folded, &mut found);
    secrets::search(&folded, &mut found);
    let mut found = apart(found);
    found.retain(|finding| kinds.has(finding.kind));
    if matches!(folded, Cow::Owned(_)) {
        fold::unfolded(text, &mut found);
    }
    found
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// What speaks for it.
    pub surety: Surety,
}

/// What speaks for a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surety {
    /// Its form, or a word before it.
    Shape,
    /// A checksum, or what it says of itself when it is decoded.
    Proven,
}

/// A kind of personal data or secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `name@host.tld`, also of internationalized domains.
    Email,
    /// A mobile number of China, an international number, and what is written as phone numbers are.
    Phone,
    /// A payment card's number (ISO/IEC 7812, Luhn).
    Card,
    /// A resident identity number of China (GB 11643), of eighteen digits or fifteen.
    ResidentId,
    /// A bank account (ISO 13616).
    Iban,
    /// A social security number of the United States.
    Ssn,
    /// A person's tax number: Germany's and Brazil's.
    TaxId,
    /// A person's number in another country that has a checksum.
    NationalId,
    /// A passport's number, after a word that says so.
    Passport,
    /// A public address of IPv4 or IPv6. It is flagged only.
    IpAddress,
    /// The address of a network card.
    MacAddress,
    /// A key of a provider's interface, or what is assigned to a name such as `api_key`.
    ApiKey,
    /// A private key in PEM, from its first line to its last.
    PrivateKey,
    /// A JSON web token.
    Jwt,
    /// A password, in an address or assigned to a name such as `password`.
    Password,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::ResidentId,
        Self::Iban,
        Self::Ssn,
        Self::TaxId,
        Self::NationalId,
        Self::Passport,
        Self::IpAddress,
        Self::MacAddress,
        Self::ApiKey,
        Self::PrivateKey,
        Self::Jwt,
        Self::Password,
    ];

    /// Its name in configuration and metrics.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// Its name in a sentence.
    pub fn phrase(self) -> &'static str {
        self.words().1
    }

    /// Whether it is told of, but neither masked nor a reason to refuse a text: too many addresses of hosts are
    /// nobody's.
    pub fn is_only_flagged(self) -> bool {
        self == Self::IpAddress
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Email => ("email", "an e-mail address"),
            Self::Phone => ("phone", "a phone number"),
            Self::Card => ("card", "a card number"),
            Self::ResidentId => ("resident_id", "a resident identity number"),
            Self::Iban => ("iban", "an IBAN"),
            Self::Ssn => ("ssn", "a social security number"),
            Self::TaxId => ("tax_id", "a tax number"),
            Self::NationalId => ("national_id", "a national identity number"),
            Self::Passport => ("passport", "a passport number"),
            Self::IpAddress => ("ip_address", "an IP address"),
            Self::MacAddress => ("mac_address", "a MAC address"),
            Self::ApiKey => ("api_key", "an API key"),
            Self::PrivateKey => ("private_key", "a private key"),
            Self::Jwt => ("jwt", "a JSON web token"),
            Self::Password => ("password", "a password"),
        }
    }
}

/// Some of the kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// All kinds.
    pub const ALL: Self = Self::of(&Kind::ALL);

    /// What opens something to whoever knows it.
    pub const SECRETS: Self =
        Self::of(&[Kind::ApiKey, Kind::PrivateKey, Kind::Jwt, Kind::Password]);

    /// What tells of a person: all others.
    pub const PERSONAL: Self = Self(Self::ALL.0 & !Self::SECRETS.0);

    /// These.
    pub const fn of(kinds: &[Kind]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < kinds.len() {
            bits |= 1u32 << (kinds[i] as u32);
            i += 1;
        }
        Self(bits)
    }

    /// These and others.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether it is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a kind is one of them.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & (1u32 << (kind as u32)) != 0
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        let bits = kinds.into_iter().map(|kind| Self::of(&[kind]).0);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

/// The best of what overlaps, in the order of the text.
fn apart(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(|a, b| {
        let better = (b.surety, b.range.len()).cmp(&(a.surety, a.range.len()));
        better.then((a.range.start, a.kind).cmp(&(b.range.start, b.kind)))
    });
    let mut kept: BTreeMap<usize, Finding> = BTreeMap::new();
    for finding in found {
        let last = kept.range(..finding.range.end).next_back();
        if last.is_none_or(|(_, last)| last.range.end <= finding.range.start) {
            kept.insert(finding.range.start, finding);
        }
    }
    kept.into_values().collect()
}
