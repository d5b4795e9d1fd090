//! Units: names, symbols, what one of each is in base units, and of what kind.
//!
//! Factors are exact, from NIST SP 811 (2008), Appendix B, and the SI brochure (2019); Chinese market units from GB
//! 3100. What is measured and not defined (the dalton) is left out, and so is what changes (currencies).

/// A unit, or several of one size.
pub(super) struct Unit {
    /// Long names, in lower case; long prefixes and a plural `s` may be there.
    pub long: &'static [&'static str],
    /// Symbols, of which case matters.
    pub symbols: &'static [&'static str],
    /// One of it in base units, as an expression of the calculator.
    pub factor: &'static str,
    /// The base units that it is made of.
    pub base: &'static str,
    /// Whether it takes prefixes.
    pub prefixed: Prefixed,
    /// What who reads the result should know.
    pub note: &'static str,
}

/// Which prefixes a unit takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefixed {
    No,
    /// Those of the SI.
    Decimal,
    /// Those of the SI and `kibi` and its like.
    Binary,
}

/// The base units; each is a dimension.
pub(super) const BASES: [&str; 9] = ["m", "kg", "s", "A", "K", "mol", "cd", "bit", "rad"];

const fn unit(
    long: &'static [&'static str],
    symbols: &'static [&'static str],
    factor: &'static str,
    base: &'static str,
) -> Unit {
    Unit {
        long,
        symbols,
        factor,
        base,
        prefixed: Prefixed::No,
        note: "",
    }
}

/// The same with SI prefixes.
const fn si(
    long: &'static [&'static str],
    symbols: &'static [&'static str],
    factor: &'static str,
    base: &'static str,
) -> Unit {
    Unit {
        prefixed: Prefixed::Decimal,
        ..unit(long, symbols, factor, base)
    }
}

/// The same with binary prefixes too.
const fn info(
    long: &'static [&'static str],
    symbols: &'static [&'static str],
    factor: &'static str,
    base: &'static str,
) -> Unit {
    Unit {
        prefixed: Prefixed::Binary,
        ..unit(long, symbols, factor, base)
    }
}

const fn noted(unit: Unit, note: &'static str) -> Unit {
    Unit { note, ..unit }
}

const US: &str =
    "a US unit of volume; imperial ones are imperial_gallon, imperial_pint, imperial_fluid_ounce";
const MEAN: &str =
    "a mean Gregorian year has 365.2425 days, a month a twelfth of it; for dates use praxis/date";
const HORSE: &str = "horsepower is the mechanical one, 745.7 W; the metric one, 735.5 W, is metric_horsepower or PS";

/// All of them. Of two with one symbol, the first is meant.
pub(super) const UNITS: &[Unit] = &[
    // Length
    si(&["meter", "metre"], &["m"], "1", "m"),
    unit(&["inch", "inches"], &["in", "″"], "0.0254", "m"),
    unit(&["foot", "feet"], &["ft", "′"], "0.3048", "m"),
    unit(&["yard"], &["yd"], "0.9144", "m"),
    unit(&["mile"], &["mi"], "1609.344", "m"),
    unit(&["nautical_mile"], &["nmi", "NM"], "1852", "m"),
    unit(&["micron"], &[], "1e-6", "m"),
    unit(&["angstrom", "ångström"], &["Å"], "1e-10", "m"),
    unit(&["thou"], &["mil"], "0.0000254", "m"),
    unit(&["fathom"], &[], "1.8288", "m"),
    unit(&["furlong"], &[], "201.168", "m"),
    unit(&["astronomical_unit"], &["au", "AU"], "149597870700", "m"),
    unit(
        &["light_year", "lightyear"],
        &["ly"],
        "9460730472580800",
        "m",
    ),
    si(&["parsec"], &["pc"], "149597870700 * 648000 / pi", "m"),
    unit(&["米"], &[], "1", "m"),
    unit(&["公里", "千米"], &[], "1000", "m"),
    unit(&["分米"], &[], "1/10", "m"),
    unit(&["厘米"], &[], "1/100", "m"),
    unit(&["毫米"], &[], "1/1000", "m"),
    unit(&["微米"], &[], "1e-6", "m"),
    unit(&["纳米"], &[], "1e-9", "m"),
    unit(&["里", "市里", "华里"], &[], "500", "m"),
    unit(&["丈"], &[], "10/3", "m"),
    unit(&["尺", "市尺"], &[], "1/3", "m"),
    unit(&["寸", "市寸"], &[], "1/30", "m"),
    unit(&["英里"], &[], "1609.344", "m"),
    unit(&["英尺"], &[], "0.3048", "m"),
    unit(&["英寸"], &[], "0.0254", "m"),
    unit(&["码"], &[], "0.9144", "m"),
    unit(&["海里"], &[], "1852", "m"),
    unit(&["光年"], &[], "9460730472580800", "m"),
    // Mass
    si(&["gram", "gramme"], &["g"], "1/1000", "kg"),
    si(&["tonne", "metric_ton"], &["t"], "1000", "kg"),
    unit(&["pound"], &["lb", "lbs", "lbm"], "0.45359237", "kg"),
    unit(&["ounce"], &["oz"], "0.028349523125", "kg"),
    unit(&["stone"], &["st"], "6.35029318", "kg"),
    unit(&["grain"], &["gr"], "0.00006479891", "kg"),
    unit(&["carat"], &["ct"], "0.0002", "kg"),
    unit(&["short_ton", "us_ton"], &[], "907.18474", "kg"),
    unit(&["long_ton", "imperial_ton"], &[], "1016.0469088", "kg"),
    unit(&["troy_ounce"], &["ozt"], "0.0311034768", "kg"),
    unit(&["公斤", "千克"], &[], "1", "kg"),
    unit(&["克"], &[], "1/1000", "kg"),
    unit(&["毫克"], &[], "1e-6", "kg"),
    unit(&["吨"], &[], "1000", "kg"),
    unit(&["斤", "市斤", "jin"], &[], "1/2", "kg"),
    unit(&["两", "市两", "liang"], &[], "1/20", "kg"),
    unit(&["钱"], &[], "1/200", "kg"),
    unit(&["磅"], &[], "0.45359237", "kg"),
    unit(&["盎司"], &[], "0.028349523125", "kg"),
    // Time
    si(&["second"], &["s", "sec", "secs"], "1", "s"),
    unit(&["minute"], &["min", "mins"], "60", "s"),
    unit(&["hour"], &["h", "hr", "hrs"], "3600", "s"),
    unit(&["day"], &["d"], "86400", "s"),
    unit(&["week"], &["wk"], "604800", "s"),
    unit(&["fortnight"], &[], "1209600", "s"),
    noted(unit(&["month"], &["mo"], "2629746", "s"), MEAN),
    noted(unit(&["year"], &["yr", "yrs"], "31556952", "s"), MEAN),
    noted(unit(&["decade"], &[], "315569520", "s"), MEAN),
    noted(
        unit(&["century", "centuries"], &[], "3155695200", "s"),
        MEAN,
    ),
    noted(
        unit(&["millennium", "millennia"], &[], "31556952000", "s"),
        MEAN,
    ),
    unit(&["秒", "秒钟"], &[], "1", "s"),
    unit(&["毫秒"], &[], "1/1000", "s"),
    unit(&["分钟"], &[], "60", "s"),
    unit(&["小时", "钟头"], &[], "3600", "s"),
    unit(&["天", "日"], &[], "86400", "s"),
    unit(&["周", "星期"], &[], "604800", "s"),
    noted(unit(&["个月"], &[], "2629746", "s"), MEAN),
    noted(unit(&["年"], &[], "31556952", "s"), MEAN),
    // Temperature; where one stands alone, its zero counts
    si(&["kelvin"], &["K"], "1", "K"),
    unit(
        &["celsius", "degree_celsius", "摄氏度"],
        &["°C", "℃", "C", "degC"],
        "1",
        "K",
    ),
    unit(
        &["fahrenheit", "degree_fahrenheit", "华氏度"],
        &["°F", "℉", "F", "degF"],
        "5/9",
        "K",
    ),
    unit(&["rankine"], &["°R", "degR"], "5/9", "K"),
    unit(&["开尔文"], &[], "1", "K"),
    // Area
    unit(&["hectare", "公顷"], &["ha"], "10000", "m^2"),
    unit(&["are"], &[], "100", "m^2"),
    unit(&["acre", "英亩"], &["ac"], "4046.8564224", "m^2"),
    unit(&["亩", "市亩", "mu"], &[], "2000/3", "m^2"),
    unit(&["平方米", "平米"], &[], "1", "m^2"),
    unit(&["平方公里", "平方千米"], &[], "1e6", "m^2"),
    unit(&["平方厘米"], &[], "1e-4", "m^2"),
    unit(&["平方英尺"], &["sqft"], "0.09290304", "m^2"),
    unit(&["平方英里"], &["sqmi"], "2589988.110336", "m^2"),
    // Volume
    si(&["liter", "litre"], &["L", "l", "ℓ"], "1/1000", "m^3"),
    unit(&["cubic_centimeter"], &["cc"], "1e-6", "m^3"),
    noted(
        unit(
            &["gallon", "us_gallon", "加仑"],
            &["gal"],
            "0.003785411784",
            "m^3",
        ),
        US,
    ),
    noted(unit(&["quart"], &["qt"], "0.000946352946", "m^3"), US),
    noted(unit(&["pint"], &["pt"], "0.000473176473", "m^3"), US),
    noted(unit(&["cup"], &[], "0.0002365882365", "m^3"), US),
    noted(
        unit(&["fluid_ounce"], &["floz"], "0.0000295735295625", "m^3"),
        US,
    ),
    noted(
        unit(
            &["tablespoon"],
            &["tbsp", "Tbsp"],
            "0.00001478676478125",
            "m^3",
        ),
        US,
    ),
    noted(
        unit(&["teaspoon"], &["tsp"], "0.00000492892159375", "m^3"),
        US,
    ),
    unit(&["imperial_gallon", "uk_gallon"], &[], "0.00454609", "m^3"),
    unit(&["imperial_quart"], &[], "0.0011365225", "m^3"),
    unit(&["imperial_pint", "uk_pint"], &[], "0.00056826125", "m^3"),
    unit(&["imperial_fluid_ounce"], &[], "0.0000284130625", "m^3"),
    unit(&["barrel", "oil_barrel"], &["bbl"], "0.158987294928", "m^3"),
    unit(&["升"], &[], "1/1000", "m^3"),
    unit(&["毫升"], &[], "1e-6", "m^3"),
    unit(&["立方米"], &[], "1", "m^3"),
    unit(&["立方厘米"], &[], "1e-6", "m^3"),
    // Speed
    unit(&["knot", "节"], &["kn", "kt"], "1852/3600", "m s^-1"),
    unit(&[], &["mph"], "0.44704", "m s^-1"),
    unit(&[], &["kph", "kmh", "kmph"], "10/36", "m s^-1"),
    unit(
        &["speed_of_light", "lightspeed"],
        &[],
        "299792458",
        "m s^-1",
    ),
    // Force, pressure
    si(&["newton", "牛顿"], &["N"], "1", "kg m s^-2"),
    unit(&["dyne"], &["dyn"], "1e-5", "kg m s^-2"),
    unit(&["pound_force"], &["lbf"], "4.4482216152605", "kg m s^-2"),
    unit(&["kilogram_force"], &["kgf"], "9.80665", "kg m s^-2"),
    si(&["pascal", "帕"], &["Pa"], "1", "kg m^-1 s^-2"),
    si(&["bar"], &[], "1e5", "kg m^-1 s^-2"),
    unit(
        &["atmosphere", "大气压"],
        &["atm"],
        "101325",
        "kg m^-1 s^-2",
    ),
    unit(
        &[],
        &["psi"],
        "4.4482216152605 / 0.00064516",
        "kg m^-1 s^-2",
    ),
    unit(&["torr"], &["Torr"], "101325/760", "kg m^-1 s^-2"),
    unit(
        &["millimeter_of_mercury", "毫米汞柱"],
        &["mmHg"],
        "133.322387415",
        "kg m^-1 s^-2",
    ),
    unit(&[], &["inHg"], "3386.388640341", "kg m^-1 s^-2"),
    // Energy, power
    si(&["joule", "焦耳"], &["J"], "1", "kg m^2 s^-2"),
    si(&["calorie", "卡"], &["cal"], "4.184", "kg m^2 s^-2"),
    unit(
        &["大卡", "千卡", "food_calorie"],
        &["Cal"],
        "4184",
        "kg m^2 s^-2",
    ),
    si(&["watt_hour", "watthour"], &["Wh"], "3600", "kg m^2 s^-2"),
    unit(&["千瓦时"], &[], "3600000", "kg m^2 s^-2"),
    si(
        &["electronvolt", "electron_volt"],
        &["eV"],
        "1.602176634e-19",
        "kg m^2 s^-2",
    ),
    unit(
        &["btu", "british_thermal_unit"],
        &["Btu", "BTU"],
        "1055.05585262",
        "kg m^2 s^-2",
    ),
    unit(&["therm"], &[], "105505585.262", "kg m^2 s^-2"),
    unit(&["erg"], &[], "1e-7", "kg m^2 s^-2"),
    si(&["watt", "瓦", "瓦特"], &["W"], "1", "kg m^2 s^-3"),
    unit(&["千瓦"], &[], "1000", "kg m^2 s^-3"),
    noted(
        unit(
            &["horsepower"],
            &["hp"],
            "745.69987158227022",
            "kg m^2 s^-3",
        ),
        HORSE,
    ),
    unit(
        &["metric_horsepower", "马力"],
        &["PS"],
        "735.49875",
        "kg m^2 s^-3",
    ),
    // Electricity
    si(&["ampere", "amp", "安培"], &["A"], "1", "A"),
    si(&["volt", "伏特"], &["V"], "1", "kg m^2 s^-3 A^-1"),
    si(&["ohm", "欧姆"], &["Ω", "Ω"], "1", "kg m^2 s^-3 A^-2"),
    si(&["siemens"], &["S"], "1", "kg^-1 m^-2 s^3 A^2"),
    si(&["coulomb"], &["C"], "1", "s A"),
    si(&["ampere_hour"], &["Ah"], "3600", "s A"),
    si(&["farad"], &["F"], "1", "kg^-1 m^-2 s^4 A^2"),
    si(&["henry"], &["H"], "1", "kg m^2 s^-2 A^-2"),
    si(&["weber"], &["Wb"], "1", "kg m^2 s^-2 A^-1"),
    si(&["tesla"], &["T"], "1", "kg s^-2 A^-1"),
    unit(&["gauss"], &["G", "Gs"], "1e-4", "kg s^-2 A^-1"),
    // Light, amount, radiation, frequency
    si(&["candela"], &["cd"], "1", "cd"),
    si(&["lumen"], &["lm"], "1", "cd"),
    si(&["lux"], &["lx"], "1", "cd m^-2"),
    si(&["mole"], &["mol"], "1", "mol"),
    si(&["hertz", "赫兹"], &["Hz"], "1", "s^-1"),
    unit(&["revolutions_per_minute"], &["rpm", "RPM"], "1/60", "s^-1"),
    si(&["becquerel"], &["Bq"], "1", "s^-1"),
    si(&["curie"], &["Ci"], "3.7e10", "s^-1"),
    si(&["gray"], &["Gy"], "1", "m^2 s^-2"),
    si(&["sievert"], &["Sv"], "1", "m^2 s^-2"),
    // Information
    info(&["bit", "比特"], &["b", "bit"], "1", "bit"),
    info(&["byte", "字节"], &["B"], "8", "bit"),
    info(&[], &["bps"], "1", "bit s^-1"),
    info(&[], &["Bps"], "8", "bit s^-1"),
    // Angle
    si(&["radian", "弧度"], &["rad"], "1", "rad"),
    unit(&["degree"], &["°", "deg"], "pi / 180", "rad"),
    unit(&["arcminute"], &["arcmin"], "pi / 10800", "rad"),
    unit(&["arcsecond"], &["arcsec"], "pi / 648000", "rad"),
    unit(&["gradian", "gon"], &["grad"], "pi / 200", "rad"),
    unit(&["turn", "revolution"], &["rev"], "2 * pi", "rad"),
    // Consumption
    noted(unit(&[], &["mpg"], "1609.344 / 0.003785411784", "m^-2"), US),
    // Ratios
    unit(&["percent"], &["%"], "1/100", ""),
    unit(&["permille"], &["‰"], "1/1000", ""),
    unit(&["basis_point"], &["bp"], "1/10000", ""),
    unit(&[], &["ppm"], "1e-6", ""),
    unit(&[], &["ppb"], "1e-9", ""),
    unit(&["dozen"], &[], "12", ""),
];

/// SI prefixes: symbol, name and power of ten.
pub(super) const DECIMAL: &[(&str, &str, i32)] = &[
    ("Q", "quetta", 30),
    ("R", "ronna", 27),
    ("Y", "yotta", 24),
    ("Z", "zetta", 21),
    ("E", "exa", 18),
    ("P", "peta", 15),
    ("T", "tera", 12),
    ("G", "giga", 9),
    ("M", "mega", 6),
    ("k", "kilo", 3),
    ("h", "hecto", 2),
    ("da", "deca", 1),
    ("d", "deci", -1),
    ("c", "centi", -2),
    ("m", "milli", -3),
    ("µ", "micro", -6),
    ("μ", "micro", -6),
    ("u", "micro", -6),
    ("n", "nano", -9),
    ("p", "pico", -12),
    ("f", "femto", -15),
    ("a", "atto", -18),
    ("z", "zepto", -21),
    ("y", "yocto", -24),
    ("r", "ronto", -27),
    ("q", "quecto", -30),
];

/// Binary prefixes (IEC 80000-13): symbol, name and power of two.
pub(super) const BINARY: &[(&str, &str, i32)] = &[
    ("Ki", "kibi", 10),
    ("Mi", "mebi", 20),
    ("Gi", "gibi", 30),
    ("Ti", "tebi", 40),
    ("Pi", "pebi", 50),
    ("Ei", "exbi", 60),
];

/// Names that mean several units, and which ones there are.
pub(super) const AMBIGUOUS: &[(&str, &str)] = &[
    (
        "ton",
        "tonne (1000 kg), short_ton (2000 lb) or long_ton (2240 lb)",
    ),
    (
        "tons",
        "tonne (1000 kg), short_ton (2000 lb) or long_ton (2240 lb)",
    ),
    (
        "度",
        "degree (of an angle), 摄氏度 (of temperature) or 千瓦时 (of electricity)",
    ),
    ("cent", "a ratio is percent; money is not converted"),
];

/// Units of money, by their codes, signs and names.
pub(super) const MONEY: &[&str] = &[
    "usd",
    "eur",
    "gbp",
    "jpy",
    "cny",
    "rmb",
    "cnh",
    "hkd",
    "twd",
    "krw",
    "inr",
    "chf",
    "cad",
    "aud",
    "nzd",
    "sgd",
    "sek",
    "nok",
    "dkk",
    "rub",
    "brl",
    "mxn",
    "zar",
    "try",
    "thb",
    "pln",
    "czk",
    "huf",
    "ils",
    "php",
    "idr",
    "myr",
    "vnd",
    "aed",
    "sar",
    "btc",
    "eth",
    "dollar",
    "dollars",
    "euro",
    "euros",
    "yuan",
    "renminbi",
    "yen",
    "sterling",
    "franc",
    "francs",
    "rupee",
    "rupees",
    "won",
    "ruble",
    "rubles",
    "peso",
    "pesos",
    "bitcoin",
    "美元",
    "欧元",
    "英镑",
    "日元",
    "人民币",
    "元",
    "港币",
    "港元",
    "韩元",
    "$",
    "€",
    "£",
    "¥",
    "￥",
    "₩",
    "₹",
];
