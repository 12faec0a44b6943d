"""Closed-class words: articles, pronouns, prepositions, conjunctions, auxiliaries.

Short lists on purpose. The stop word lists that packages carry run to over a thousand words for
English and hold content words ("cases", "abroad"); what is asked for here is only the words whose
loss leaves a telegram readable. Negations and modals are left out: they carry meaning and are
protected elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

__all__ = ["LANGUAGES", "detect", "function_words"]

_LISTS = {
    "en": """
        a an the this that these those some any each every such same other another i me my
        mine myself you your yours yourself he him his himself she her hers herself it its
        itself we us our ours ourselves they them their theirs themselves who whom whose
        which what is am are was were be been being have has had having do does did doing
        done of in on at by for with about against between into through during before
        after above below to from up down out off over under upon onto within across along
        among around behind beyond toward towards via per as than like and or but if
        because while although though so whether when where why how then there here thus
        hence also too very just only own again once both more most much many few less
        least even still yet already rather quite almost however therefore moreover
        furthermore well really actually basically simply s t re ve ll d m""",
    "de": """
        der die das des dem den ein eine einer eines einem einen dieser diese dieses
        diesem diesen jener jene jenes ich mich mir mein meine du dich dir dein er ihn ihm
        sein seine seiner seinem seinen sie ihr ihre ihrer ihrem ihren es wir uns unser
        euch sich man wer was welche welcher welches ist bin bist sind war waren sei sein
        gewesen wird werden wurde wurden worden hat habe haben hatte hatten in im an am
        auf aus bei beim mit nach seit von vom zu zum zur für durch gegen um über unter
        vor hinter zwischen während wegen bis und oder aber denn weil dass daß ob wenn als
        wie so da dort hier dann auch noch schon nur sehr doch ja mal also etwa sowie
        sowohl beziehungsweise damit dabei dazu dafür davon""",
    "fr": """
        le la les l un une des du de d au aux ce cet cette ces c mon ma mes ton ta tes son
        sa ses notre nos votre vos leur leurs je j me m moi tu te t toi il elle on nous
        vous ils elles se s lui eux y en qui que qu quoi dont où quel quelle quels quelles
        lequel laquelle est sont était étaient être été suis es sommes êtes fut furent
        sera a ai as ont avait avaient avoir eu avons avez à dans par pour sur sous avec
        chez entre vers depuis pendant avant après jusque contre et ou mais donc or car si
        comme quand lorsque puisque parce ainsi aussi très plus bien encore déjà alors
        puis là ici même tout tous toute toutes""",
    "es": """
        el la los las lo un una unos unas al del de este esta estos estas ese esa esos
        esas aquel aquella mi mis tu tus su sus nuestro nuestra nuestros yo me mí te ti él
        ella ellos ellas nosotros usted ustedes se le les nos os que qué quien quién cual
        cuál cuyo cuya es son era eran ser sido fue fueron soy eres somos está están
        estaba estar estado ha han había habían haber he hemos a ante bajo con contra
        desde en entre hacia hasta para por según sobre tras durante y e o u pero sino si
        como cuando donde mientras porque pues aunque así también muy más ya aún todavía
        entonces aquí allí mismo misma""",
    "it": """
        il lo la i gli le l un uno una del dello della dei degli delle al allo alla ai
        agli alle dal dalla dai dalle nel nella nei nelle sul sulla sui sulle di a da in
        con su per tra fra questo questa questi queste quello quella quelli quelle mio mia
        tuo tua suo sua suoi sue nostro nostra vostro loro io me mi tu te ti egli lui lei
        noi ci voi vi essi si ne che chi cui quale quali è sono era erano essere stato
        stata stati fu furono ha hanno aveva avevano avere ho abbiamo e ed o ma però se
        come quando dove mentre perché poiché anche molto più già ancora così allora poi
        qui là stesso stessa""",
    "pt": """
        o a os as um uma uns umas do da dos das no na nos nas ao à aos às pelo pela pelos
        pelas num numa de em por para com sem sob sobre entre até desde após ante este
        esta estes estas esse essa esses essas isso isto aquele aquela aquilo meu minha
        teu tua seu sua seus suas nosso nossa eu me mim tu te ti ele ela eles elas nós vós
        você vocês se lhe lhes que quem qual quais cujo cuja é são era eram ser sido foi
        foram sou somos está estão estava estar há tem têm tinha tinham ter e ou mas porém
        se como quando onde enquanto porque pois embora assim também muito mais já ainda
        então aqui ali mesmo mesma""",
    "nl": """
        de het een des der den dit dat deze die ik me mij mijn jij je jou jouw hij hem
        zijn zij ze haar wij we ons onze jullie u uw hun hen zich wie wat welke is ben
        bent zijn was waren geweest wordt worden werd werden heeft heb hebben had hadden
        in op aan bij uit van voor met naar over onder tussen door tegen om tot tijdens na
        sinds te en of maar want omdat als dan toen terwijl hoewel zo ook nog al reeds
        zeer heel er daar hier dus toch wel""",
    "sv": """
        en ett den det de dem denna detta dessa jag mig min mitt mina du dig din han honom
        hans hon henne hennes vi oss vår vårt våra ni er sin sitt sina sig man som vem vad
        vilken vilket vilka är var vara varit blir blev bli blivit har hade ha haft i på
        av till från med om för vid hos under över mellan genom efter före mot och eller
        men att när där här hur så då också även mycket redan ännu bara""",
    "da": """
        en et den det de dem denne dette disse jeg mig min mit mine du dig din han ham
        hans hun hende hendes vi os vores i jer sin sit sine sig man som hvem hvad hvilken
        hvilket er var være været bliver blev blive blevet har havde have haft på af til
        fra med om for ved hos under over mellem gennem efter før mod og eller men at når
        der her hvor hvordan så da også meget allerede endnu kun""",
    "no": """
        en ei et den det de dem denne dette disse jeg meg min mitt mine du deg din han ham
        hans hun henne hennes vi oss vår vårt våre dere sin sitt sine seg man som hvem hva
        hvilken er var være vært blir ble bli blitt har hadde ha hatt i på av til fra med
        om for ved hos under over mellom gjennom etter før mot og eller men at når der her
        hvor hvordan så da også mye allerede ennå bare""",
    "ru": """
        я меня мне мной мой моя моё мои ты тебя тебе твой он его ему им нём она её ей ней
        оно мы нас нам наш наша наши вы вас вам ваш они их ими них себя себе свой своя
        свои этот эта это эти этого этой тот та то те того той который которая которое
        которые кто что чей был была было были быть есть будет будут в во на с со из у о
        об от до к ко по за под над при для про через между без перед и а но или да как
        так же ли бы если когда где куда чтобы потому поэтому также тоже уже ещё еще очень
        вот там тут здесь""",
}

LANGUAGES = tuple(_LISTS)


@cache
def function_words(language: str) -> frozenset[str]:
    """Lower-case function words of an ISO 639-1 language; empty for one that is not listed."""
    return frozenset(_LISTS.get(language, "").split())


def detect(words: Iterable[str]) -> str | None:
    """The language whose function words are the most frequent among ``words`` (lower case).

    Returns:
        An ISO 639-1 code, or None where fewer than one word in twenty is a function word of any.
    """
    sample = list(words)
    if not sample:
        return None
    hits = {
        language: sum(map(function_words(language).__contains__, sample)) for language in _LISTS
    }
    best = max(hits, key=lambda language: hits[language])
    return best if hits[best] * 20 >= len(sample) else None
