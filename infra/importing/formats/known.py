"""All formats that are known, in the order in which they are asked."""

from infra.importing.formats.akeneo import AKENEO
from infra.importing.formats.amazon import AMAZON
from infra.importing.formats.bmecat import BMECAT
from infra.importing.formats.form import Format
from infra.importing.formats.google_merchant import GOOGLE_MERCHANT, GOOGLE_MERCHANT_XML
from infra.importing.formats.icecat import ICECAT
from infra.importing.formats.magento import MAGENTO
from infra.importing.formats.open_food_facts import OPEN_FOOD_FACTS
from infra.importing.formats.schema_org import SCHEMA_ORG
from infra.importing.formats.shopify import SHOPIFY
from infra.importing.formats.woocommerce import WOOCOMMERCE

FORMATS: tuple[Format, ...] = (
    GOOGLE_MERCHANT_XML,
    BMECAT,
    SCHEMA_ORG,
    AMAZON,
    SHOPIFY,
    WOOCOMMERCE,
    MAGENTO,
    AKENEO,
    ICECAT,
    OPEN_FOOD_FACTS,
    GOOGLE_MERCHANT,
)
BY_NAME = {one.name: one for one in FORMATS}
