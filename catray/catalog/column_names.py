"""What a column's name says about it, in several languages: `artikelnr` an id, `libelle` a title, `rayon` a category.

A name is a hint and never more: `propose` weighs it against the column's values.
"""

from __future__ import annotations

import re
import unicodedata

WORDS: dict[str, dict[float, str]] = {
    "id": {
        1.0: "id sku uid uuid asin artikelnr artikelnummer codigo codice productid itemid",
        0.9: "ref reference referencia riferimento identifier code handle bestellnummer kennung identifiant uniq pid",
        0.7: "ean gtin upc isbn mpn barcode nummer number nr num numero no key clave chiave",
    },
    "platform": {
        1.0: "platform plattform plateforme plataforma piattaforma marketplace shop store",
        0.9: "merchant retailer haendler handler marchand tienda negozio boutique laden marktplatz website webshop",
        0.7: "site source quelle seller verkaufer vendeur vendedor venditore channel kanal canal canale",
    },
    "title": {
        1.0: "title titel titre titulo titolo bezeichnung libelle headline produktname nazwa nome_prodotto",
        0.9: "denominacion denominazione designation denomination benennung intitule naam productname",
        0.8: "name nom nombre nome",
    },
    "description": {
        1.0: "description beschreibung descripcion descrizione descriptif descricao omschrijving opis desc body",
        0.8: "detalle detalles details detail dettagli annonce langtext content inhalt contenu contenido contenuto",
        0.6: "text texte texto testo alt summary zusammenfassung resume resumen features about long bullet caption",
    },
    "image": {
        1.0: "image images img picture photo bild bilder foto fotos imagen imagenes immagine immagini imagem",
        0.7: "thumbnail thumb media medien filename file datei fichier archivo archive visuel poster",
    },
    "category": {
        1.0: "category categories categoria categorie kategorie kategorien warengruppe rubrique breadcrumb breadcrumbs",
        0.9: "rubrik departement department abteilung reparto rayon seccion sezione section categoryname rubro gruppo",
        0.7: "famille familia famiglia familie univers universo bereich cat group gruppe grupo sortiment collection",
        0.6: "type typ tipo class klasse classe tree native nivel niveau level livello ebene taxonomy",
        0.4: "path chemin percorso pfad ruta camino",
    },
    # Paths of a common taxonomy, not the shop's own.
    "canonical": {1.0: "canonical canonique kanonisch google ziel target label taxonomy gold standard mapped truth"},
    "brand": {
        1.0: "brand marke marque marca manufacturer hersteller fabricant fabricante produttore merk designer",
        0.6: "vendor maker",
    },
    "gender": {1.0: "gender geschlecht genre genero genere sexe sexo sesso sex audience zielgruppe"},
    "other": {
        1.0: "color colour basecolour farbe couleur color colore size groesse grosse taille talla taglia season saison "
        "temporada stagione year jahr annee ano anno material materiau materiale composition fabric stoff pattern "
        "price preis prix precio prezzo currency wahrung waehrung devise moneda valuta stock bestand availability "
        "verfugbarkeit disponibilite disponibilidad disponibilita condition zustand rating ratings review reviews "
        "bewertung note count quantity menge quantite cantidad quantita date datum fecha data created updated weight "
        "gewicht poids peso country land pays pais paese language sprache langue idioma lingua locale status tax "
        "discount rabatt remise descuento sconto shipping versand width height tag tags keywords specification "
        "specifications score rank email phone",
        0.9: "url link href permalink lien enlace collegamento",
    },
}
HINTS = {
    role: {word: weight for weight, words in lists.items() for word in words.split()} for role, lists in WORDS.items()
}

OWNERS = ("platform", "image", "category", "brand", "gender", "other")
# These name a thing of an owner that stands beside them, `brand_name`, `category_id`; or, beside these, the product's.
GENERIC, PRODUCT = (
    frozenset(words.split())
    for words in (
        "name nom nombre nome id code codigo codice key text texte texto testo type nr number num numero no",
        "product produkt produit producto prodotto produto item article artikel articulo articolo",
    )
)


def tokens(name: str) -> list[str]:
    """Lower-case words without accents: `productDisplayName` -> product, display, name."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return [word for word in re.split(r"[^a-z]+", plain) if word]


def meaning(name: str) -> dict[str, float]:
    """{role: how much the name speaks for it, 0-1}. Of a nested name `a.b` the last part counts; `a` helps a little."""
    *parents, last = name.split(".")
    scores = _scores(tokens(last))
    for role, score in _scores(tokens(" ".join(parents))).items():
        scores[role] = max(scores.get(role, 0.0), score * 0.4)
    return scores


def _scores(words: list[str]) -> dict[str, float]:
    found = [(word, role, _weight(word, role)) for word in words for role in WORDS]
    owned = any(role in OWNERS and weight >= 0.7 for word, role, weight in found if word not in GENERIC)
    scores: dict[str, float] = {}
    for word, role, weight in found:
        if word in GENERIC:
            weight = weight * 0.2 if owned else min(1.0, weight + 0.2 * bool(weight and PRODUCT & set(words)))
        if weight:
            scores[role] = max(scores.get(role, 0.0), weight)
    return scores


def _weight(word: str, role: str) -> float:
    """A known word, or a compound with one: `produktbild`, `artikelbezeichnung`, `imageurl`."""
    hints = HINTS[role]
    if word in hints or len(word) < 7:
        return hints.get(word, 0.0)
    ends = [weight for hint, weight in hints.items() if len(hint) >= 4 and word.endswith(hint)]
    starts = [weight * 0.8 for hint, weight in hints.items() if len(hint) >= 5 and word.startswith(hint)]
    return 0.9 * max([*ends, *starts], default=0.0)
