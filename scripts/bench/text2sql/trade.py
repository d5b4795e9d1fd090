"""An importer of food: what it sells, from whom it buys, who orders, and who delivers."""

import random
from datetime import date, timedelta

from schemas import Database

CATEGORIES = [
    ("Beverages", "Soft drinks, coffees, teas, beers and ales"), ("Condiments", "Sweet and savory sauces, relishes and spreads"),
    ("Confections", "Desserts, candies and sweet breads"), ("Dairy Products", "Cheeses and yoghurts"),
    ("Grains/Cereals", "Breads, crackers, pasta and cereal"), ("Meat/Poultry", "Prepared meats"),
    ("Produce", "Dried fruit and bean curd"), ("Seafood", "Seaweed and fish"), ("Frozen Meals", "Meals that are kept frozen"),
]
SUPPLIERS = [
    ("Quayside Imports", "London", "United Kingdom"), ("Bayou Pantry", "New Orleans", "United States"),
    ("Hoshino Foods", "Tokyo", "Japan"), ("Cooperativa Los Olivos", "Oviedo", "Spain"), ("Kaede Trading", "Osaka", "Japan"),
    ("Karlsson Fisk AB", "Göteborg", "Sweden"), ("Alpenkäse GmbH", "Innsbruck", "Austria"), ("Pasta Amalfi", "Salerno", "Italy"),
    ("Vänern Kvarn", "Stockholm", "Sweden"), ("Refrescos Tropicais", "São Paulo", "Brazil"), ("Zuckerwerk Spree", "Berlin", "Germany"),
    ("Mainufer Großmarkt", "Frankfurt", "Germany"), ("Elbmündung Fisch", "Cuxhaven", "Germany"), ("Formaggi Bassano", "Ravenna", "Italy"),
    ("Fjellmeieri", "Sandvika", "Norway"), ("Cascade Brewers", "Bend", "United States"), ("Pré Vert", "Annecy", "France"),
    ("Bois d'Érables", "Sainte-Hyacinthe", "Canada"), ("成都辣酱厂", "Chengdu", "China"), ("Straits Trading", "Singapore", "Singapore"),
]
PRODUCTS = [
    ("Highland Chai", 1, 1, 18.0), ("Harbor Lager", 1, 16, 14.0), ("Guarana Spark", 1, 10, 4.5), ("Cascade Pale Ale", 1, 16, 14.0),
    ("Black Loch Stout", 1, 16, 18.0), ("Côte de Neige", 1, 17, 263.5), ("Straits Coffee", 1, 20, 46.0), ("Dancing Otter Cider", 1, 16, 14.0),
    ("Green Mist Tea", 1, 3, 21.5), ("Anise Cordial", 2, 1, 10.0), ("Bayou Thunder Seasoning", 2, 2, 22.0), ("Gumbo Mix", 2, 2, 21.35),
    ("Aunt Edna's Berry Spread", 2, 1, 25.0), ("Cranberry Sauce", 2, 1, 40.0), ("Kaede Shoyu", 2, 5, 13.0), ("Sirop d'Érable", 2, 18, 28.5),
    ("Sichuan Chili Paste", 2, 19, 9.8), ("Doubanjiang", 2, 19, 7.6), ("Meringue Nest", 3, 1, 17.45), ("Five O'Clock Biscuits", 3, 1, 9.2),
    ("Lady Hart's Scones", 3, 1, 10.0), ("Marzipan Bars", 3, 11, 32.8), ("Gummy Dragons", 3, 11, 31.23), ("Alpine Chocolate Squares", 3, 11, 43.9),
    ("Maple Tart", 3, 18, 49.3), ("White Birch Chocolate", 3, 11, 16.25), ("Queso Azul", 4, 4, 21.0), ("Manchego Viejo", 4, 4, 38.0),
    ("Gorgonzola Bassano", 4, 14, 12.5), ("Mascarpone Bassano", 4, 14, 32.0), ("Brown Goat Cheese", 4, 15, 2.5), ("Fjell Whey Cheese", 4, 15, 36.0),
    ("Raclette des Prés", 4, 17, 55.0), ("Camembert du Moulin", 4, 17, 34.0), ("Alpine Butter", 4, 7, 11.4), ("Gnocchi Amalfi", 5, 8, 38.0),
    ("Ravioli Amalfi", 5, 8, 19.5), ("Vänern Knäckebröd", 5, 9, 21.0), ("Tunnbröd", 5, 9, 9.0), ("Straits Egg Noodles", 5, 20, 14.0),
    ("Bread Dumplings", 5, 12, 33.25), ("Rost Sausage", 6, 12, 123.79), ("Hoshino Wagyu", 6, 3, 97.0), ("Prairie Mutton", 6, 2, 39.0),
    ("Tourtière", 6, 18, 7.45), ("Pâté Chinois", 6, 18, 24.0), ("Coastal Pasties", 6, 2, 32.8), ("Dried Pears", 7, 12, 30.0), ("Tofu", 7, 5, 23.25),
    ("Barrel Sauerkraut", 7, 12, 45.6), ("Long Life Tofu", 7, 3, 10.0), ("Orchard Apples", 7, 2, 53.0), ("Ikura", 8, 3, 31.0), ("Konbu", 8, 5, 6.0),
    ("Gulf Prawns", 8, 2, 62.5), ("Elbe Matjes", 8, 13, 25.89), ("Pickled Sill", 8, 6, 19.0), ("Gravlax Karlsson", 8, 6, 26.0),
    ("Harbor Crab Meat", 8, 2, 18.4), ("Pier Nine Clam Chowder", 8, 2, 9.65), ("Smoked Herring", 8, 6, 9.5), ("Escargots des Prés", 8, 17, 13.25),
]
CLIENTS = [
    ("ALWIN", "Alwins Vorratshaus", "Berlin", "Germany"), ("CASAA", "Casa Azul Emparedados", "México D.F.", "Mexico"),
    ("AROUN", "Around the Corner", "London", "United Kingdom"), ("LINDQ", "Lindqvist Livs", "Luleå", "Sweden"),
    ("BLAUE", "Blauer Hof Feinkost", "Mannheim", "Germany"), ("MARCH", "Marché Vieux-Port", "Marseille", "France"),
    ("PENNY", "Penny Wharf Foods", "Tsawassen", "Canada"), ("PATAG", "Patagonia Comidas", "Buenos Aires", "Argentina"),
    ("GOLDE", "Golden Wok Bern", "Bern", "Switzerland"), ("COMER", "Comércio Paulista", "São Paulo", "Brazil"),
    ("KAISE", "Kaiserstadt Feinkost", "Aachen", "Germany"), ("THAME", "Thames Connection", "London", "United Kingdom"),
    ("MURTA", "Murtal Handel", "Graz", "Austria"), ("FAMIL", "Família Andrade", "São Paulo", "Brazil"), ("SKOGO", "Skog och Sjö", "Bräcke", "Sweden"),
    ("ISARV", "Isarversand", "München", "Germany"), ("TEJOB", "Tejo Bacalhau", "Lisbon", "Portugal"), ("GALER", "Galería Condal", "Barcelona", "Spain"),
    ("WILLA", "Willamette Market", "Eugene", "United States"), ("GUANA", "Guanabara Carnes", "Rio de Janeiro", "Brazil"),
    ("TACHI", "Táchira Abastos", "San Cristóbal", "Venezuela"), ("BARNO", "Barn Owl Grocers", "Cork", "Ireland"), ("SOLEN", "Solent Trading", "Cowes", "United Kingdom"),
    ("HAVEL", "Havel Kost", "Brandenburg", "Germany"), ("LAMAI", "La Maison d'Orient", "Toulouse", "France"), ("ROMER", "Römer Marktstand", "Frankfurt", "Germany"),
    ("LARAS", "Lara Supermercado", "Barquisimeto", "Venezuela"), ("MAGAZ", "Magazzini Orobici", "Bergamo", "Italy"), ("MEREL", "Mère Laurier", "Montréal", "Canada"),
    ("DOMPL", "Domplatz Käseladen", "Köln", "Germany"), ("RAPID", "RAPID Markt", "Cunewalde", "Germany"), ("SANDI", "Sandia Grocery", "Albuquerque", "United States"),
    ("EMILI", "Emilia Caseifici", "Reggio Emilia", "Italy"), ("LACSU", "Lac Supermarché", "Genève", "Switzerland"), ("KYSTG", "Kyst Gourmet", "Stavern", "Norway"),
    ("TREAS", "Treasure Valley Markets", "Boise", "United States"), ("THREE", "Three Bridges Imports", "London", "United Kingdom"), ("SHLON", "上海隆盛食品", "Shanghai", "China"),
    ("NYHAV", "Nyhavn Bistro", "København", "Denmark"), ("DELIC", "Délices de Sambre", "Charleroi", "Belgium"), ("AJOLO", "Ajolote Restaurante", "México D.F.", "Mexico"),
    ("BOUCH", "Bouchon en Stock", "Lyon", "France"), ("OULUN", "Oulun Herkku", "Oulu", "Finland"), ("PUGET", "Puget Clover Markets", "Seattle", "United States"),
    ("VANTA", "Vantaan Kala", "Helsinki", "Finland"), ("NOBUY", "Nothing Yet Ltd", "Dublin", "Ireland"), ("SEINE", "Seine Spécialités", "Paris", "France"),
]


def trade():
    rnd = random.Random(1996)
    db = Database("trade")
    db.table("categories", "", "category_id:int!", "category_name:text", "description:text")
    db.table("suppliers", "", "supplier_id:int!", "company_name:text", "city:text", "country:text")
    db.table("products", "", "product_id:int!", "product_name:text", "supplier_id:int>suppliers", "category_id:int>categories",
             "unit_price:num", "units_in_stock:int", "units_on_order:int", "reorder_level:int", "discontinued:int#1 if it is not sold any more")
    db.table("customers", "", "customer_id:text!", "company_name:text", "contact_name:text", "contact_title:text", "city:text", "country:text")
    db.table("employees", "", "employee_id:int!", "last_name:text", "first_name:text", "title:text", "birth_date:date", "hire_date:date",
             "city:text", "country:text", "reports_to:int?>employees")
    db.table("shippers", "", "shipper_id:int!", "company_name:text", "phone:text")
    db.table("orders", "", "order_id:int!", "customer_id:text>customers", "employee_id:int>employees", "order_date:date", "required_date:date",
             "shipped_date:date?#NULL as long as it is not shipped", "ship_via:int>shippers", "freight:num", "ship_city:text", "ship_country:text")
    db.table("order_details", "", "order_id:int!>orders", "product_id:int!>products", "unit_price:num", "quantity:int",
             "discount:real#a share, 0.1 is ten percent")
    db.table("regions", "", "region_id:int!", "region_name:text")
    db.table("territories", "", "territory_id:int!", "territory_name:text", "region_id:int>regions")
    db.table("employee_territories", "", "employee_id:int!>employees", "territory_id:int!>territories")
    db.table("customer_segments", "", "segment_id:int!", "segment_name:text")
    db.table("customer_segment_members", "", "customer_id:text!>customers", "segment_id:int!>customer_segments")

    for i, row in enumerate(CATEGORIES, 1):
        db.add("categories", (i, *row))
    for i, row in enumerate(SUPPLIERS, 1):
        db.add("suppliers", (i, *row))
    for i, (name, category, supplier, price) in enumerate(PRODUCTS, 1):
        gone = 1 if i in (6, 12, 24, 42, 43, 50) else 0
        stock = 0 if i in (6, 17, 31) else rnd.randint(3, 125)
        db.add("products", (i, name, supplier, category, price, stock, rnd.choice([0, 0, 0, 10, 40, 70]), rnd.choice([0, 5, 10, 15, 20, 25, 30]), gone))
    first = ["Maria", "Ana", "Thomas", "Christina", "Hanna", "Laurence", "Elizabeth", "Patricio", "Yang", "Pedro", "Sven", "Ann", "Roland", "Aria", "王芳"]
    last = ["Anders", "Moreno", "Hardy", "Berglund", "Moos", "Lebihan", "Lincoln", "Simpson", "Wang", "Afonso", "Ottlieb", "Devon", "Mendel", "Cruz"]
    titles = ["Owner", "Sales Representative", "Marketing Manager", "Order Administrator", "Accounting Manager", "Sales Agent"]
    for code, name, city, country in CLIENTS:
        db.add("customers", (code, name, f"{rnd.choice(first)} {rnd.choice(last)}", rnd.choice(titles), city, country))
    db.add(
        "employees",
        (1, "Whitfield", "Nancy", "Sales Representative", "1978-12-08", "2012-05-01", "Seattle", "United States", 2),
        (2, "Marlowe", "Andrew", "Vice President, Sales", "1962-02-19", "2012-08-14", "Tacoma", "United States", None),
        (3, "Okafor", "Janet", "Sales Representative", "1983-08-30", "2012-04-01", "Kirkland", "United States", 2),
        (4, "Delgado", "Margaret", "Sales Representative", "1967-09-19", "2013-05-03", "Redmond", "United States", 2),
        (5, "Sinclair", "Steven", "Sales Manager", "1975-03-04", "2013-10-17", "London", "United Kingdom", 2),
        (6, "Tanaka", "Michael", "Sales Representative", "1983-07-02", "2013-10-17", "London", "United Kingdom", 5),
        (7, "Pryce", "Gareth", "Sales Representative", "1980-05-29", "2014-01-02", "London", "United Kingdom", 5),
        (8, "Brennan", "Laura", "Inside Sales Coordinator", "1978-01-09", "2014-03-05", "Seattle", "United States", 2),
        (9, "Ashworth", "Anne", "Sales Representative", "1986-01-27", "2014-11-15", "London", "United Kingdom", 5),
    )
    for i, (name, phone) in enumerate([("Swift Courier", "555-0101"), ("Union Parcel", "555-0102"), ("Continental Freight", "555-0103"), ("Slow Boat Lines", "555-0104")], 1):
        db.add("shippers", (i, name, phone))
    for i, name in enumerate(["Eastern", "Western", "Northern", "Southern"], 1):
        db.add("regions", (i, name))
    places = ["Westboro", "Bedford", "Boston", "Cambridge", "Providence", "New York", "Edison", "Seattle", "Redmond", "Phoenix", "Denver", "Santa Monica",
              "Philadelphia", "Beachwood", "Minneapolis", "Roseville", "Atlanta", "Savannah", "Orlando", "Dallas", "Austin", "Tampa"]
    for i, name in enumerate(places, 1):
        region = 1 if i <= 7 else 2 if i <= 12 else 3 if i <= 16 else 4
        db.add("territories", (i, name, region))
    for territory in range(1, 22):
        for employee in sorted(rnd.sample(range(1, 10), rnd.choice([1, 2, 2, 3]))):
            db.add("employee_territories", (employee, territory))
    for i, name in enumerate(["Retail", "Restaurant", "Wholesale", "Online"], 1):
        db.add("customer_segments", (i, name))
    for code, *_ in CLIENTS:
        for segment in sorted(rnd.sample([1, 2, 3], rnd.choice([0, 1, 1, 1, 2]))):
            db.add("customer_segment_members", (code, segment))
    buyers = [c for c in CLIENTS if c[0] not in ("NOBUY", "SEINE")]
    start = date(2021, 7, 4)
    for n in range(520):
        order = 10248 + n
        code, _, city, country = rnd.choice(buyers + buyers[:12] * 2)
        day = start + timedelta(days=int(n * 1.75))
        shipped = day + timedelta(days=rnd.randint(1, 32))
        late = None if n > 505 or n % 97 == 50 else shipped.isoformat()
        db.add("orders", (order, code, rnd.choice([1, 1, 2, 3, 3, 4, 4, 4, 5, 6, 7, 8, 9]), day.isoformat(), (day + timedelta(days=28)).isoformat(), late,
                          rnd.choice([1, 2, 2, 3]), round(rnd.lognormvariate(3.7, 1), 2), city, country))
        for product in sorted(rnd.sample(range(1, len(PRODUCTS) + 1), rnd.choice([1, 2, 2, 3, 4, 5]))):
            # Two products were never ordered.
            if product in (40, 47):
                continue
            price = PRODUCTS[product - 1][3]
            price = round(price * 0.8, 2) if n < 120 else price
            db.add("order_details", (order, product, price, rnd.choice([1, 2, 5, 6, 10, 12, 15, 20, 24, 30, 40, 60]), rnd.choice([0.0, 0.0, 0.0, 0.05, 0.1, 0.15, 0.2, 0.25])))
    return db
