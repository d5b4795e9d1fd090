"""A shop of songs: who made them, who bought them, who served the buyers."""

import random
from datetime import date, timedelta

from schemas import Database

ARTISTS = [
    ("Velvet Harbor", "United Kingdom", 1968), ("The Glass Foxes", "United States", 1994), ("Marisol Vega", "Spain", 2003),
    ("Iron Lantern", "Germany", 1981), ("Nordlys Trio", "Norway", 1999), ("Sakura Engine", "Japan", 2007),
    ("Delta Cartographers", "United States", 1957), ("Les Ombres Bleues", "France", 1972), ("Chen Xiaoyu", "China", 2010),
    ("Orchestra of the Quiet Sea", "Austria", 1949), ("Paper Tigers Union", "Australia", 1988), ("Rio Sereno", "Brazil", 1963),
    ("Kofi & the Tides", "Ghana", 1976), ("Stone Meridian", "United States", 1985), ("Anika Holm", "Sweden", 2012),
    ("Black Orchard", "United Kingdom", 1978), ("Tango Nocturno", "Argentina", 1951), ("DJ Halogen", "Germany", 1996),
    ("The Copper Line", "Canada", 1991), ("Mountain Choir of Ulm", "Germany", 1938), ("Wang Lin", "China", 2001),
    ("Salt & Cedar", "United States", 2015), ("Emberfall", "Finland", 1997), ("Lucía Ferrán", "Mexico", 1989),
    ("Blue Note Assembly", "United States", 1959), ("Midnight Bureau", "Netherlands", 2005), ("Hana Okada", "Japan", 1993),
    ("Velour Panthers", "United Kingdom", 1974), ("Ghost Signal", "Canada", 2009), ("String Parliament", "Austria", 1986),
    ("Zuri Dawn", "Kenya", 2014), ("Rusted Anchors", "Ireland", 1990), ("Polar Static", "Norway", 2011),
    ("Silk Road Ensemble of Xi'an", "China", 1984), ("Caravan of Dust", "Mali", 1992), ("Hollow Kings", "United States", 2002),
    ("Tiny Satellites", "New Zealand", 2016), ("Vera Lindqvist", "Sweden", 1966), ("Copacabana Sol", "Brazil", 1971),
    ("The Last Envelope", "United Kingdom", 2008),
]
SILENT = [("Unheard Of", "Belgium", 2020), ("Two Quiet Years", "Canada", 2019), ("Aurora Static", "Iceland", 2021)]
GENRES = ["Rock", "Jazz", "Metal", "Pop", "Classical", "Electronic", "Blues", "Latin", "Folk", "World", "Reggae", "Opera"]
MEDIA = ["MPEG audio file", "AAC audio file", "Protected AAC audio file", "Purchased FLAC file", "MPEG-4 video file"]
ADJECTIVES = ["Silver", "Broken", "Distant", "Golden", "Silent", "Burning", "Hidden", "Electric", "Lonely", "Crimson", "Paper",
              "Frozen", "Wild", "Empty", "Second", "Bitter", "Gentle", "Northern", "Restless", "Velvet"]
NOUNS = ["River", "Night", "Machine", "Garden", "Mirror", "Train", "Letter", "Harbor", "Winter", "Signal", "Love", "Road",
         "Shadow", "Fire", "Island", "Clock", "Window", "Bird", "Ocean", "Stranger"]
TAILS = ["", "", "", " Again", " Blues", " in June", " for Two", " of Dust", " Tonight", " (Live)"]
COUNTRIES = [
    ("Brazil", ["São Paulo", "Rio de Janeiro"]), ("United States", ["New York", "Chicago", "Seattle", "Austin"]),
    ("Canada", ["Toronto", "Montréal"]), ("Germany", ["Berlin", "Stuttgart"]), ("France", ["Paris", "Lyon"]),
    ("United Kingdom", ["London", "Edinburgh"]), ("China", ["Beijing", "Shanghai"]), ("Japan", ["Tokyo"]),
    ("Norway", ["Oslo"]), ("India", ["Delhi", "Bangalore"]), ("Portugal", ["Lisbon"]), ("Australia", ["Sydney"]),
]
FIRST = ["Luis", "Helena", "Mark", "Astrid", "Wei", "Priya", "Jonas", "Camille", "Oliver", "Fernanda", "Tom", "Ellie", "Bjørn",
         "Yuki", "Hannah", "Diego", "Martha", "Edward", "Robert", "Julia", "Manoj", "Sofia", "Frank", "Aaron", "Lin"]
LAST = ["Gonçalves", "Köhler", "Tremblay", "Hansen", "Zhang", "Pareek", "Schneider", "Bernard", "O'Brien", "Rocha", "Miller",
        "Novak", "Taylor", "Sato", "Mitchell", "Gutiérrez", "Silk", "Francis", "Walker", "Barnett", "Srivastava", "Almeida"]


def music():
    rnd = random.Random(1977)
    db = Database("music")
    db.table("artist", "", "artist_id:int!", "name:text", "country:text", "formed_year:int")
    db.table("album", "", "album_id:int!", "title:text", "artist_id:int>artist", "release_year:int", "label:text?")
    db.table("genre", "", "genre_id:int!", "name:text")
    db.table("media_type", "", "media_type_id:int!", "name:text")
    db.table("track", "", "track_id:int!", "name:text", "album_id:int>album", "media_type_id:int>media_type", "genre_id:int>genre",
             "composer:text?", "milliseconds:int", "bytes:int", "unit_price:num")
    db.table("playlist", "", "playlist_id:int!", "name:text")
    db.table("playlist_track", "", "playlist_id:int!>playlist", "track_id:int!>track")
    db.table("employee", "", "employee_id:int!", "first_name:text", "last_name:text", "title:text", "reports_to:int?>employee",
             "birth_date:date", "hire_date:date", "city:text", "country:text")
    db.table("customer", "", "customer_id:int!", "first_name:text", "last_name:text", "company:text?", "city:text", "country:text",
             "email:text", "support_rep_id:int?>employee")
    db.table("invoice", "", "invoice_id:int!", "customer_id:int>customer", "invoice_date:date", "billing_city:text",
             "billing_country:text", "total:num")
    db.table("invoice_line", "", "invoice_line_id:int!", "invoice_id:int>invoice", "track_id:int>track", "unit_price:num",
             "quantity:int")

    for i, row in enumerate(ARTISTS + SILENT, 1):
        db.add("artist", (i, *row))
    for i, name in enumerate(GENRES, 1):
        db.add("genre", (i, name))
    for i, name in enumerate(MEDIA, 1):
        db.add("media_type", (i, name))
    labels = ["Northgate", "Blue Door", "Parallel", "Sunstone", None]
    tracks, album, titles = [], 0, set()
    style = {a: rnd.sample(range(1, 11), 2) for a in range(1, len(ARTISTS) + 1)}
    composers = [f"{rnd.choice(FIRST)} {rnd.choice(LAST)}" for _ in range(30)]
    for artist, (_, _, formed) in enumerate(ARTISTS, 1):
        for _ in range(rnd.choice([1, 2, 3, 4, 5, 6])):
            album += 1
            title = f"{rnd.choice(ADJECTIVES)} {rnd.choice(NOUNS)}"
            while title in titles:
                title = f"{rnd.choice(ADJECTIVES)} {rnd.choice(NOUNS)}{rnd.choice(TAILS)}"
            titles.add(title)
            year = min(2023, formed + rnd.randint(0, 25))
            db.add("album", (album, title, artist, year, rnd.choice(labels)))
            genre = rnd.choice(style[artist])
            media = rnd.choice([1, 1, 1, 2, 3, 4]) if rnd.random() < 0.95 else 5
            composer = rnd.choice(composers + [None] * 8)
            for _ in range(rnd.randint(5, 14)):
                length = rnd.randint(95_000, 420_000) if genre != 5 else rnd.randint(240_000, 1_400_000)
                name = f"{rnd.choice(ADJECTIVES)} {rnd.choice(NOUNS)}{rnd.choice(TAILS)}"
                price = 1.99 if media == 5 else (1.29 if rnd.random() < 0.2 else 0.99)
                tracks.append((len(tracks) + 1, name, album, media, genre, composer, length, length * rnd.randint(28, 36), price))
    db.add("track", *tracks)
    lists = ["Music", "Road Trip", "Late Night Jazz", "Gym", "Classical Morning", "90s and Later", "Quiet Rooms", "Audiobooks",
             "Heavy Metal Forever", "World Tour"]
    for i, name in enumerate(lists, 1):
        db.add("playlist", (i, name))
        if name == "Audiobooks":
            continue
        chosen = {"Music": tracks, "Late Night Jazz": [t for t in tracks if t[4] == 2], "Classical Morning": [t for t in tracks if t[4] == 5],
                  "Heavy Metal Forever": [t for t in tracks if t[4] == 3]}.get(name)
        if chosen is None:
            chosen = sorted(rnd.sample(tracks, rnd.randint(25, 80)))
        db.add("playlist_track", *[(i, t[0]) for t in chosen])

    staff = [
        (1, "Gordon", "Ames", "General Manager", None, "1962-02-18", "2012-08-14", "Edmonton", "Canada"),
        (2, "Beatrice", "Lund", "Sales Manager", 1, "1968-12-08", "2012-05-01", "Calgary", "Canada"),
        (3, "Mira", "Castell", "Sales Support Agent", 2, "1983-08-29", "2014-04-01", "Calgary", "Canada"),
        (4, "Dorothy", "Yuen", "Sales Support Agent", 2, "1957-09-19", "2015-05-03", "Calgary", "Canada"),
        (5, "Callum", "Reyes", "Sales Support Agent", 2, "1975-03-03", "2016-10-17", "Calgary", "Canada"),
        (6, "Pavel", "Horak", "IT Manager", 1, "1973-07-01", "2013-10-17", "Lethbridge", "Canada"),
        (7, "Idris", "Bello", "IT Staff", 6, "1990-05-29", "2017-01-02", "Lethbridge", "Canada"),
        (8, "Saskia", "Vermeer", "IT Staff", 6, "1988-01-09", "2018-03-04", "Lethbridge", "Canada"),
    ]
    db.add("employee", *staff)
    names = set()
    for i in range(1, 61):
        first, last = rnd.choice(FIRST), rnd.choice(LAST)
        while (first, last) in names:
            first, last = rnd.choice(FIRST), rnd.choice(LAST)
        names.add((first, last))
        country, cities = COUNTRIES[min(i - 1, len(COUNTRIES) - 1)] if i <= 12 else rnd.choice(COUNTRIES[:10])
        company = rnd.choice([None, None, None, "Meadow Discos", "Banco Atlântico", "Teleline", "Microcorp", "Fjord Data"])
        rep = rnd.choice([3, 3, 4, 5])
        db.add("customer", (i, first, last, company, rnd.choice(cities), country, f"{first.lower()}.{i}@mail.example", rep))
    invoice = line = 0
    start = date(2019, 1, 3)
    customers = db.tables["customer"].rows
    for n in range(420):
        # Four customers never buy.
        buyer = customers[rnd.randint(0, 55)]
        invoice += 1
        day = start + timedelta(days=int(n * 4.3) + rnd.randint(0, 3))
        total = 0
        lines = []
        for track in rnd.sample(tracks, rnd.choice([1, 1, 2, 2, 3, 4, 6, 9])):
            line += 1
            quantity = 2 if rnd.random() < 0.04 else 1
            total += round(track[8] * 100) * quantity
            lines.append((line, invoice, track[0], track[8], quantity))
        db.add("invoice", (invoice, buyer[0], day.isoformat(), buyer[4], buyer[5], total / 100))
        db.add("invoice_line", *lines)
    return db
