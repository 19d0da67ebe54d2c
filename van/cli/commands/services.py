"""`van services`: every address of the network, who serves it, and how busy it is."""

from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.printing import print_sections


def list_services(json: Json = False, site: Site = None) -> None:
    """List every address, who serves it, and how busy it is.

    Load and delay are what this site knows: it learns them with the flows that begin here.
    """
    addresses = open_client(site).status().addresses
    if json:
        print_json(addresses)
    else:
        from van.cli.render.services import services_section

        print_sections([services_section(addresses)])
