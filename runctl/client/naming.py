"""Names that people remember, for runs that were given none."""

from hashlib import sha256
from typing import Final

from runctl.model.ids import RunId

_ADJECTIVES: Final = (
    "agile amber ample apt azure bold brave brief bright brisk calm candid careful cheery clean clear clever cool "
    "copper coral cosy crisp curious dapper daring deft eager early easy elegant even fair famous fast fine fleet "
    "fond free fresh frosty gentle glad golden grand green handy happy hardy hazel hearty honest humble icy ideal "
    "ivory jade jolly jovial keen kind large light lilac lively loyal lucid lucky lunar magic mellow merry mighty "
    "misty modest nimble noble olive open patient pearly plain plucky polar polite proud prime quick quiet radiant "
    "rapid ready regal robust rosy royal rustic sage scarlet serene sharp silent silver simple sleek smart smooth "
    "snowy solar solid spry stable steady still sturdy subtle sunny swift teal tender tidy tough upbeat vast velvet "
    "vivid warm whole wise witty zesty"
)
_NOUNS: Final = (
    "acorn alder antelope apple aspen badger bamboo basin bay beacon beaver birch bison brook bunting canyon caribou "
    "cedar cherry cliff clover comet condor coral cove crane creek cricket cypress daisy dale delta dolphin dove dune "
    "eagle elder elm ember falcon fern finch fir fjord flint forest fox gazelle geyser glade gorge grove gull harbour "
    "hare harrier hawk hazel heath heron hill ibex iris island ivy jackal jasmine jay kestrel koala lagoon lake larch "
    "lark leopard lily linden lotus lynx magpie maple marmot marsh martin meadow mesa meteor moose moss oak oasis "
    "ocelot orca orchid oriole osprey otter owl panda peak pebble pelican pine plover pond poplar prairie puffin quail "
    "quartz raven reef ridge river robin salmon seal sequoia sparrow spruce stork summit swan tern thistle tiger trout "
    "tulip valley vole walnut willow wolf wren"
)

ADJECTIVES: Final = tuple(dict.fromkeys(_ADJECTIVES.split()))
NOUNS: Final = tuple(dict.fromkeys(_NOUNS.split()))


def memorable_name(run_id: RunId) -> str:
    """Name a run by an adjective and a noun, e.g. `brave-otter`: always the same for the same id.

    There are 17,000; two runs of a project may share one, and then their ids tell them apart.
    """
    number = int.from_bytes(sha256(run_id.encode()).digest()[:8])
    rest, adjective = divmod(number, len(ADJECTIVES))
    return f"{ADJECTIVES[adjective]}-{NOUNS[rest % len(NOUNS)]}"
