/*
 * The root's keys of 2017 and 2024 as DS records, as IANA publishes them
 * (https://data.iana.org/root-anchors/root-anchors.xml). Both are in: the root went from one to
 * the other in October 2026, and a server may have been off for a year.
 */
#include "resolver/anchors.h"

struct str root_anchors(void)
{
    return STR(
        ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
        ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n");
}
