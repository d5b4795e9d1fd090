//! `[routes]`: names that stand for chat models. A route says which models there are, in what order or in what shares
//! they are asked, and what is done beside. Decisions without I/O; the gateway carries them out.

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Period;
use crate::cache::CachePolicy;

/// A route: another name for a model, or a choice among several.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteConfig {
    /// The models.
    pub targets: Vec<Target>,
    /// In which order they are asked.
    pub order: Order,
    /// Only models that say that they are in one of these regions are asked, and only such stand in for them; empty:
    /// all.
    pub regions: Vec<String>,
    /// After how long without a first token the next model is asked too; the one that begins first answers.
    pub hedge_after: Option<Period>,
    /// A model that gets a share of the requests too, and whose answers go into traces only.
    pub shadow: Option<Shadow>,
    /// Which answers are kept; default: as the models say.
    pub cache: Option<CachePolicy>,
}

/// In which order the models of a route are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The first of the list; the next ones where it is not available.
    #[default]
    Listed,
    /// By chance, in the shares of their weights; where one is not available, another by the weights of the rest.
    Weighted,
}

/// A model of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its name.
    pub model: String,
    /// Its share of the requests, beside those of the others.
    pub weight: f64,
}

/// A model whose answers nobody waits for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Its name.
    pub model: String,
    /// The share of requests that it gets, in 0..=1.
    #[serde(default = "all")]
    pub share: f64,
}

fn all() -> f64 {
    1.0
}

impl RouteConfig {
    /// All models that it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let shadow = self.shadow.iter().map(|s| s.model.as_str());
        self.targets.iter().map(|t| t.model.as_str()).chain(shadow)
    }

    /// The models in the order in which they are asked. `random` gives numbers in 0..1.
    pub(crate) fn drawn(&self, mut random: impl FnMut() -> f64) -> Vec<&str> {
        let mut left: Vec<&Target> = self.targets.iter().collect();
        if self.order == Order::Listed {
            return left.iter().map(|t| t.model.as_str()).collect();
        }
        let mut drawn = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let total: f64 = left.iter().map(|t| t.weight).sum();
            let mut at = random() * total;
            let chosen = left.iter().position(|target| {
                at -= target.weight;
                at < 0.0
            });
            let target = left.remove(chosen.unwrap_or(left.len() - 1));
            drawn.push(target.model.as_str());
        }
        drawn
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            model: String,
            #[serde(default = "all")]
            weight: f64,
        }
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model's name, or { model = \"NAME\", weight = 2 }")
            }

            fn visit_str<E: Error>(self, model: &str) -> Result<Target, E> {
                Ok(Target {
                    model: model.to_owned(),
                    weight: 1.0,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
                let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Target {
                    model: table.model,
                    weight: table.weight,
                })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl<'de> Deserialize<'de> for RouteConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            targets: Vec<Target>,
            #[serde(default)]
            order: Order,
            #[serde(default)]
            regions: Vec<String>,
            #[serde(default)]
            hedge_after: Option<Period>,
            #[serde(default)]
            shadow: Option<Shadow>,
            #[serde(default)]
            cache: Option<CachePolicy>,
        }
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = RouteConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model's name, a list of models, or a table with `targets`")
            }

            fn visit_str<E: Error>(self, model: &str) -> Result<RouteConfig, E> {
                Ok(RouteConfig::of(vec![Target {
                    model: model.to_owned(),
                    weight: 1.0,
                }]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RouteConfig, A::Error> {
                let list = serde::de::value::SeqAccessDeserializer::new(list);
                Vec::deserialize(list).map(RouteConfig::of)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RouteConfig, A::Error> {
                let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(RouteConfig {
                    targets: table.targets,
                    order: table.order,
                    regions: table.regions,
                    hedge_after: table.hedge_after,
                    shadow: table.shadow,
                    cache: table.cache,
                })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl RouteConfig {
    /// These models, in this order, and nothing else.
    fn of(targets: Vec<Target>) -> Self {
        Self {
            targets,
            order: Order::Listed,
            regions: Vec::new(),
            hedge_after: None,
            shadow: None,
            cache: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn route(toml: &str) -> Result<RouteConfig, String> {
        let routes: Result<BTreeMap<String, RouteConfig>, _> = toml::from_str(toml);
        routes
            .map(|mut routes| routes.remove("r").unwrap())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_route_is_a_name_a_list_or_a_table() {
        for (toml, models, order) in [
            ("r = \"a\"", vec![("a", 1.0)], Order::Listed),
            (
                "r = [\"a\", { model = \"b\" }]",
                vec![("a", 1.0), ("b", 1.0)],
                Order::Listed,
            ),
            (
                "[r]\norder = \"weighted\"\ntargets = [{ model = \"a\", weight = 3 }, \"b\"]",
                vec![("a", 3.0), ("b", 1.0)],
                Order::Weighted,
            ),
        ] {
            let route = route(toml).unwrap();
            let found: Vec<_> = route
                .targets
                .iter()
                .map(|t| (&*t.model, t.weight))
                .collect();
            assert_eq!((found, route.order), (models, order), "{toml}");
        }
        let whole = route(
            "[r]\ntargets = [\"a\"]\nregions = [\"eu\"]\nhedge_after = \"800ms\"\nshadow = { model = \"c\", share = 0.5 }",
        )
        .unwrap();
        assert_eq!(whole.names().collect::<Vec<_>>(), ["a", "c"]);
        for (toml, said) in [
            ("r = 3", "a model's name"),
            ("[r]\ntargets = [\"a\"]\nhedge = \"1s\"", "hedge"),
            ("r = [{ model = \"a\", wait = 3 }]", "wait"),
            ("[r]\norder = \"random\"\ntargets = []", "random"),
        ] {
            let error = route(toml).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn weights_are_the_shares_of_who_is_asked_first_and_of_who_stands_in() {
        let route = route(
            "[r]\norder = \"weighted\"\ntargets = [{ model = \"a\", weight = 6 }, { model = \"b\", weight = 3 }, \
             { model = \"c\", weight = 1 }, { model = \"never\", weight = 0 }]",
        )
        .unwrap();
        let mut state = 7_u64;
        let mut random = || {
            // splitmix64 (Steele et al. 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..20_000 {
            let drawn = route.drawn(&mut random);
            assert_eq!(drawn.len(), 4);
            *first.entry(drawn[0]).or_insert(0) += 1;
            if drawn[0] == "a" {
                *second.entry(drawn[1]).or_insert(0) += 1;
            }
        }
        let share = |of: &BTreeMap<&str, i32>, name| {
            let total: i32 = of.values().sum();
            f64::from(of.get(name).copied().unwrap_or_default()) / f64::from(total)
        };
        for (name, expected) in [("a", 0.6), ("b", 0.3), ("c", 0.1), ("never", 0.0)] {
            assert!((share(&first, name) - expected).abs() < 0.02, "{first:?}");
        }
        assert!((share(&second, "b") - 0.75).abs() < 0.02, "{second:?}");
        // A number that no share covers takes the last.
        assert_eq!(route.drawn(|| 1.0).len(), 4);
    }
}
