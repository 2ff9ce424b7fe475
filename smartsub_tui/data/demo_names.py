"""The word lists of the demo data: people of many scripts, and the offices and communities they belong to.

All of it is invented. Names were chosen for what they do to a screen: accents and stacked marks, wide characters,
right-to-left letters, apostrophes, hyphens, and some that are longer than any column.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from smartsub_tui.data.vocabulary import OfficeKind


class Culture(Struct, frozen=True):
    """Given and family names, and how they are put together; `whole` are full names that do not fit the pattern."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    family_first: bool = False
    between: str = " "
    whole: tuple[str, ...] = ()


class Place(Struct, frozen=True):
    """An office or community of the demo; `parts` are its departments or buildings."""

    name: str
    code: str  # begins its users' ids
    kind: OfficeKind
    timezone: str
    currency: str
    culture: str
    parts: tuple[str, ...]
    size: int  # its share of the users


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(","))


CULTURES: Final[dict[str, Culture]] = {
    "english": Culture(
        _split(
            "Amelia, Oliver, Isla, Harry, Freya, George, Poppy, Arthur, Maeve, Declan, Siobhán, Niamh, Rhys, Carys,"
            " Angus, Morag, Zoë, Chloë, Noah, Grace, Ethan, Ruth, Samuel, Hannah"
        ),
        _split(
            "Smith, Jones, O'Brien, O'Connor, McAllister, MacDonald, D'Arcy, Fitzgerald, Taylor-Green, Evans, Wright,"
            " St. John, Ní Dhomhnaill, Okonkwo, Adeyemi, Patel, Clarke, Hughes, Walker, Featherstonehaugh, Li"
        ),
        whole=(
            "Wolfeschlegelsteinhausenbergerdorff-Fitzwilliam Adolphus Bartholomew III",
            "Al",
            "Elizabeth Alexandra Rosalind Montgomery-Cholmondeley of Ballachulish",
        ),
    ),
    "german": Culture(
        _split(
            "Jürgen, Käthe, Björn, Günther, Änne, Lukas, Sabine, Wolfgang, Uwe, Heike, Mareike, Sören, Jörg, Ruth,"
            " Dörte, Rüdiger, Anneliese, Ekkehard, Frauke, Hans-Peter"
        ),
        _split(
            "Müller, Schäfer, Groß, Weiß, Köhler, von der Heydte, Schönfeld, Jäger, Böhm, Straßburger, Übelacker, Kühn,"
            " Voß, zu Hohenlohe-Öhringen, Bäcker, Krüger, Lüdenscheidt, Meyer, Özdemir, Oberhuber-Niederstätter"
        ),
        whole=("Ludwig-Adalbert Maria Ferdinand Johann Jakob von und zu Weißenfels-Großbottwar",),
    ),
    "french": Culture(
        _split("Zoé, Léa, Étienne, Chloé, François, Anaïs, Gaëlle, Benoît, Loïc, Maëlys, Jérôme, Hélène, Noël"),
        _split(
            "Lefèvre, D'Aubigné, L'Hôte, Béranger, Dupont, Saint-Évremond, Le Goff, Château, Gonçalves, Crêpeau,"
            " N'Diaye, Œuvrard, Lemaître, de La Rochefoucauld"
        ),
    ),
    "spanish": Culture(
        _split("José, María, Íñigo, Lucía, Andrés, Begoña, Ángel, Inés, Martín, Sofía, Raúl, Úrsula, Nuño, Ximena"),
        _split(
            "Muñoz García, Ibáñez, Núñez de Balboa, Peña, López-Écija, Castaño, Rodríguez, Güell, Sáenz, Ordóñez,"
            " Fernández Díaz, Etxeberria, Villalobos y Castro"
        ),
    ),
    "portuguese": Culture(
        _split("João, Conceição, Inês, Antônio, Graça, Luís, Beatriz, Fabrício, Mônica, Thaís, Caetano, Iracema"),
        _split("Gonçalves, Simões, Araújo, Magalhães, da Conceição, Falcão, Guimarães, Ávila, Leitão, dos Santos Neto"),
    ),
    "polish": Culture(
        _split(
            "Łukasz, Małgorzata, Grzegorz, Zofia, Świętosława, Paweł, Agnieszka, Jędrzej, Bożena, Wojciech, Żaneta,"
            " Stanisław, Elżbieta, Michał"
        ),
        _split(
            "Brzęczyszczykiewicz, Wójcik, Kowalczyk, Szczęsny, Dąbrowska, Żółkiewski, Wiśniewska, Kamińska-Źrebiec,"
            " Jabłoński, Nowak, Zając, Kwaśniewski"
        ),
    ),
    "nordic": Culture(
        _split("Åsa, Øyvind, Bjørn, Märta, Þórdís, Ævar, Sørine, Håkan, Jónína, Pekka, Yrjö, Solveig"),
        _split("Åkesson, Ødegård, Sjöström, Hämäläinen, Guðmundsdóttir, Nygård, Bæk, Hälsingbo, Järvinen, Ström"),
    ),
    "turkish": Culture(
        _split("Ayşe, Çağla, İbrahim, Gülşah, Ömer, Şükrü, Işıl, Oğuz, Müge, Ünal, Tuğçe, Ilgın, Berk, Yiğit"),
        _split("Yılmaz, Öztürk, Çelik, Şahin, Kılıç, Güneş, Işık, Doğan, İnönü, Karaağaç, Ünlü, Büyükçekmeceli"),
    ),
    "vietnamese": Culture(
        _split(
            "Thị Minh Khai, Văn Dũng, Thị Hồng Nhung, Quốc Huy, Ngọc Ánh, Đức Thắng, Thùy Dương, Hữu Nghĩa, Mỹ Linh,"
            " Bảo Châu, Thị Kiều Oanh, Xuân Trường"
        ),
        _split("Nguyễn, Trần, Lê, Phạm, Hoàng, Vũ, Võ, Đặng, Bùi, Đỗ, Hồ, Ngô, Dương, Tôn Nữ"),
        family_first=True,
    ),
    "greek": Culture(
        _split("Γιώργος, Ελένη, Δημήτρης, Αικατερίνη, Νίκος, Σοφία, Θεόδωρος, Ευαγγελία, Χρήστος, Ιωάννα, Άγγελος"),
        _split(
            "Παπαδόπουλος, Παπαχαραλαμποπούλου, Νικολαΐδης, Αναγνωστάκη, Καραγιάννης, Οικονόμου, Βλάχος, Ξενάκη,"
            " Χατζηδάκης, Μακρή"
        ),
    ),
    "cyrillic": Culture(
        _split(
            "Алексей, Наталья, Сергей, Ольга, Пётр, Любовь, Олексій, Ганна, Їлона, Ярослав, Анастасія, Ђорђе,"
            " Љиљана, Айгүл, Нұрсұлтан, Өмірбек"
        ),
        _split(
            "Иванов, Щербакова, Королёв, Зайцева, Шевченко, Ґалаґан, Кузнецов, Подъяпольский, Михайличенко, Ђоковић,"
            " Әбдіғали, Преображенская"
        ),
    ),
    "arabic": Culture(
        _split("محمد, فاطمة, عبد الرحمن, نورة, يوسف, مريم, خالد, ليلى, أحمد, هدى, عمر, زينب, إبراهيم, سارة"),
        _split("الأحمد, الصباح, المطيري, بن سعيد الحربي, القحطاني, العنزي, حداد, الخوري, آل ثاني, الرشيد, منصور"),
    ),
    "hebrew": Culture(
        _split("יוסף, שרה, דוד, רחל, משה, נועה, אברהם, תמר, איתן, מיכל, אורי, יעל"),
        _split("כהן, לוי, מזרחי, פרץ, ביטון, פרידמן, אברהמי, גולדשטיין, בן־דוד, שפירא, חדד"),
    ),
    "hindi": Culture(
        _split("राजेश, प्रियंका, अमित, सुनीता, विक्रम, कृष्णा, श्रेया, संजय, ऋतु, मृत्युंजय, ज्योत्स्ना, अनिल"),
        _split("शर्मा, गुप्ता, त्रिपाठी, श्रीवास्तव, चतुर्वेदी, सिंह, मिश्रा, क्षेत्री, वर्मा, द्विवेदी"),
    ),
    "thai": Culture(
        _split("สมชาย, สุดารัตน์, ประเสริฐ, กนกวรรณ, วิชัย, พิมพ์ชนก, ณัฐวุฒิ, ศิริพร, อนันต์, จิราภรณ์"),
        _split("ศรีสุวรรณ, วงศ์ใหญ่, แสงทอง, พงษ์พานิช, ณ อยุธยา, รัตนโกสินทร์, ทองดี, ลิ้มเจริญ"),
        whole=("ทักษพรวรรณรัตน์ เจริญสุขสวัสดิ์วัฒนากุลพิพัฒน์",),
    ),
    "chinese": Culture(
        _split("伟, 芳, 秀英, 建国, 丽丽, 子涵, 雨桐, 志明, 思远, 梓萱, 家豪, 怡君, 晓东, 龘"),
        _split("王, 李, 张, 刘, 陈, 欧阳, 司马, 黄, 赵, 吴, 诸葛, 郭, 𠮷"),
        family_first=True,
        between="",
    ),
    "japanese": Culture(
        _split("さくら, 健太, 美咲, 大輔, ひかり, 翔太, エミリ, 直樹, 陽菜, 蓮, 結衣, あおい, 龍之介, ゆうこ"),
        _split("佐藤, 鈴木, 髙橋, 田中, 渡邊, 山﨑, 小鳥遊, 勅使河原, 長谷川, 齋藤, 林, 五十嵐"),
        family_first=True,
    ),
    "korean": Culture(
        _split("민준, 서연, 지훈, 하은, 도윤, 수빈, 현우, 지민, 은서, 태양, 가람, 슬기"),
        _split("김, 이, 박, 최, 정, 강, 남궁, 황보, 윤, 임, 독고, 선우"),
        family_first=True,
        between="",
    ),
}

_OFFICE: Final = OfficeKind.OFFICE
_COMMUNITY: Final = OfficeKind.COMMUNITY

# The first twelve are the default demo: each has a script or a currency of its own.
PLACES: Final = (
    Place(
        "Northgate Offices",
        "NGO",
        _OFFICE,
        "Europe/London",
        "GBP",
        "english",
        _split("Reception, Sales, Engineering, Finance, Legal & Compliance, Night Shift, R&D"),
        9,
    ),
    Place(
        "Residenz am Park",
        "RAP",
        _COMMUNITY,
        "Europe/Berlin",
        "EUR",
        "german",
        _split("Haus 1, Haus 2, Haus 3, Gartenhaus, Vorderhaus Süd, Straßenflügel"),
        12,
    ),
    Place(
        "梅田タワー",
        "UMD",
        _OFFICE,
        "Asia/Tokyo",
        "JPY",
        "japanese",
        _split("総務部, 営業部, 開発部, 経理部, 人事部, 受付"),
        8,
    ),
    Place(
        "Oakwood Residences",
        "OAK",
        _COMMUNITY,
        "America/New_York",
        "USD",
        "spanish",
        _split("Building A, Building B, Building C, Tower North, Tower South, Carriage House"),
        11,
    ),
    Place(
        "कमल विहार",
        "KMV",
        _COMMUNITY,
        "Asia/Kolkata",
        "INR",
        "hindi",
        _split("टावर ए, टावर बी, टावर सी, क्लब हाउस, Tower D"),
        10,
    ),
    Place(
        "برج السالمية",
        "BSL",
        _COMMUNITY,
        "Asia/Kuwait",
        "KWD",
        "arabic",
        _split("المبنى الأول, المبنى الثاني, المبنى الثالث, Annex"),
        8,
    ),
    Place(
        "Osiedle pod Lipami",
        "OPL",
        _COMMUNITY,
        "Europe/Warsaw",
        "PLN",
        "polish",
        _split("Klatka I, Klatka II, Klatka III, Oficyna, Wieża Północna"),
        9,
    ),
    Place(
        "Boğaziçi Plaza",
        "BGZ",
        _OFFICE,
        "Europe/Istanbul",
        "TRY",
        "turkish",
        _split("Satış, Muhasebe, İnsan Kaynakları, Bilgi İşlem, Yönetim"),
        6,
    ),
    Place(
        "Chung cư Hoa Sen",
        "CHS",
        _COMMUNITY,
        "Asia/Ho_Chi_Minh",
        "VND",
        "vietnamese",
        _split("Tòa A, Tòa B, Tòa C, Khu Đông, Khu Tây"),
        8,
    ),
    Place(
        "Κτήριο Ακρόπολις",
        "AKR",
        _OFFICE,
        "Europe/Athens",
        "EUR",
        "greek",
        _split("Λογιστήριο, Πωλήσεις, Τεχνικό Τμήμα, Γραμματεία"),
        5,
    ),
    Place(
        "한강 타운",
        "HGT",
        _COMMUNITY,
        "Asia/Seoul",
        "KRW",
        "korean",
        _split("101동, 102동, 103동, 상가동"),
        8,
    ),
    Place(
        "The Serviced Offices and Studios at the Old Harbour Exchange, Signal Hill",
        "OHX",
        _OFFICE,
        "America/St_Johns",
        "CAD",
        "english",
        _split("Front Desk, Co-working Level 1, Co-working Level 2, Studios, Management of the Exchange Building"),
        6,
    ),
    Place(
        "מגדלי הים",
        "MGY",
        _COMMUNITY,
        "Asia/Jerusalem",
        "ILS",
        "hebrew",
        _split("בניין א, בניין ב, בניין ג, לובי"),
        8,
    ),
    Place(
        "浦江商务中心",
        "PJS",
        _OFFICE,
        "Asia/Shanghai",
        "CNY",
        "chinese",
        _split("行政部, 市场部, 研发部, 财务部, 客服中心"),
        8,
    ),
    Place(
        "บ้านสวนสุขุมวิท",
        "BSS",
        _COMMUNITY,
        "Asia/Bangkok",
        "THB",
        "thai",
        _split("อาคาร 1, อาคาร 2, อาคาร 3, คลับเฮาส์"),
        7,
    ),
    Place(
        "Деловой центр «Орион»",
        "ORN",
        _OFFICE,
        "Asia/Almaty",
        "KZT",
        "cyrillic",
        _split("Бухгалтерия, Отдел продаж, Приёмная, Служба безопасности"),
        7,
    ),
    Place(
        "L'Escale Saint-Honoré",
        "ESH",
        _OFFICE,
        "Europe/Paris",
        "EUR",
        "french",
        _split("Accueil, Comptabilité, Études, Direction générale"),
        6,
    ),
    Place(
        "Brf Sjöutsikten",
        "SJU",
        _COMMUNITY,
        "Europe/Stockholm",
        "SEK",
        "nordic",
        _split("Hus Ek, Hus Björk, Hus Älg, Gårdshuset"),
        7,
    ),
    Place(
        "Jardim das Flores",
        "JDF",
        _COMMUNITY,
        "America/Sao_Paulo",
        "BRL",
        "portuguese",
        _split("Bloco A, Bloco B, Bloco C, Cobertura"),
        8,
    ),
    Place(
        "Te Aro Quarter",
        "TAQ",
        _OFFICE,
        "Pacific/Auckland",
        "NZD",
        "english",
        _split("Whare Mahi, Accounts, Design Studio, Workshop"),
        5,
    ),
)

# Amount of one month of the app, in minor units, and the tax rate in parts per million: invented, of plausible size.
CURRENCIES: Final[dict[str, tuple[int, int]]] = {
    "BRL": (1490, 150_000),
    "CAD": (399, 130_000),
    "CNY": (1800, 60_000),
    "EUR": (300, 190_000),
    "GBP": (259, 200_000),
    "ILS": (1190, 180_000),
    "INR": (19900, 180_000),
    "JPY": (450, 100_000),
    "KRW": (3900, 100_000),
    "KWD": (950, 0),
    "KZT": (149000, 120_000),
    "NZD": (490, 150_000),
    "PLN": (1299, 230_000),
    "SEK": (3490, 250_000),
    "THB": (9900, 70_000),
    "TRY": (8990, 200_000),
    "USD": (325, 88_750),
    "VND": (59000, 80_000),
}

CANCEL_REASONS: Final = (
    "ordered twice",
    "wrong people selected",
    "the tenants move out at the end of the month",
    "customer asked for 12 months instead",
    "doppelt bestellt",
    "price to be agreed with the owner first",
    "Kündigung liegt vor",
    "入金の見込みがないため",
)
FAIL_REASONS: Final = (
    "card declined by the issuing bank",
    "insufficient funds",
    "card expired",
    "3-D Secure was not completed",
    "refused: suspected fraud",
)
DELETE_REASONS: Final = (
    "test order",
    "entered for the wrong office",
    "duplicate of an imported order",
    "asked for by the customer",
)
