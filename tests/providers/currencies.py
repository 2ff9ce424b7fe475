"""What Stripe takes in which currency, in which unit (docs.stripe.com/currencies)."""

from typing import Final


def _codes(words: str) -> frozenset[str]:
    return frozenset(words.split())


CURRENCIES: Final = _codes(
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp"
    " cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr"
    " isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn"
    " myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle"
    " sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw"
)
_ZERO_DECIMALS: Final = _codes("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
_THREE_DECIMALS: Final = _codes("bhd jod kwd omr tnd")
# Without decimals since long, but still written with two at Stripe, which have to be 00.
_WRITTEN_WITH_TWO: Final = frozenset({"isk", "ugx"})

# In the unit of the interface. What is not listed has a minimum by the rate of the day; here it is one unit.
_MINIMUM: Final = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50,
    "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50,
    "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
LARGEST: Final = 99_999_999


def decimals(currency: str) -> int:
    """How many digits of an amount stand behind the point."""
    return 0 if currency in _ZERO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2


def smallest_step(currency: str) -> int:
    """What an amount must be a multiple of."""
    return 10 if currency in _THREE_DECIMALS else 100 if currency in _WRITTEN_WITH_TWO else 1


def minimum(currency: str) -> int:
    return _MINIMUM.get(currency, 1)


def written(amount: int, currency: str) -> str:
    """As Stripe writes it in a sentence, but for the sign of the currency: "12.50 eur"."""
    places = decimals(currency)
    whole, rest = divmod(amount, 10**places)
    return f"{whole}.{rest:0{places}} {currency}" if places else f"{whole} {currency}"
