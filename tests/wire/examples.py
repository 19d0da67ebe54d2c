"""Hypothesis strategies for what travels between sites, built from the types' own limits."""

from hypothesis import strategies as st

from tests.generators import labels
from van.wire import channel, join, link
from van.wire.lsa import Lsa, LsaKind
from van.wire.policy import Policies, PolicyStatement

site_names = labels
addresses = st.builds("{}:{}".format, site_names, st.integers(1, 65535))
u64 = st.integers(0, 2**63 - 1)
u32 = st.integers(0, 2**32 - 1)
seconds = st.floats(0.0, 1e9)
texts = st.text(max_size=40)
costs = st.integers(1, 65535)
costs_or_auto = st.integers(0, 65535)
binary = st.binary(max_size=64)
hashes = st.binary(max_size=32)
chains = st.lists(binary, max_size=8).map(tuple)
paths = st.lists(site_names, min_size=2, max_size=5).map(tuple)
versions = st.integers(1, 255)
entries = st.lists(
    st.builds(link.DigestEntry, site_names, st.sampled_from(LsaKind), u64, u64), max_size=5
).map(tuple)
lsas = st.builds(Lsa, site_names, st.sampled_from(LsaKind), u64, u64, seconds, binary, binary)

link_messages = st.one_of(
    st.builds(link.Hello, versions, site_names, u64, costs_or_auto, seconds, seconds, u64, seconds),
    st.builds(link.Heartbeat, seconds, seconds, seconds),
    st.builds(link.Summary, st.binary(min_size=512, max_size=512)),
    st.builds(link.Digest, binary, entries, st.booleans()),
    st.builds(link.Announcement, entries),
    st.builds(link.FloodMode, st.booleans()),
    st.builds(link.HoldChange, seconds),
    st.builds(link.Ping),
    st.builds(link.Pong),
    st.builds(link.CopyFound, st.text(max_size=20)),
    st.builds(link.Request, entries),
    st.builds(link.Advertisements, st.lists(lsas, max_size=4).map(tuple)),
    st.builds(link.ChannelRequest, st.integers(1, 64)),
    st.builds(link.Goodbye, texts, st.booleans()),
    st.builds(link.CostChange, costs_or_auto),
    st.builds(link.Probe, u64, paths, site_names, st.integers(0, 255)),
    st.builds(link.ProbeReply, u64, paths, st.integers(0, 255)),
    st.builds(link.AuthorityGrant, site_names, chains, st.integers(0, 255)),
    st.builds(
        Policies,
        st.lists(
            st.builds(
                PolicyStatement,
                st.integers(0, 2**63 - 1),
                st.booleans(),
                st.text(max_size=40),
                st.floats(0.0, 1e11),
                chains,
                st.binary(max_size=72),
            ),
            max_size=2,
        ).map(tuple),
    ),
)
reports = st.none() | st.builds(channel.Report, u32, seconds, seconds)
channel_messages = st.one_of(
    st.builds(channel.Hello, versions, st.sampled_from(channel.Role)),
    st.builds(channel.Open, texts, st.sampled_from(["tcp", "udp", "http"]), addresses),
    st.builds(channel.Opened, reports),
    st.builds(channel.Refused, st.sampled_from(channel.Reason), texts),
    st.builds(channel.Done, u64, reports),
    st.builds(channel.Relay, site_names, st.integers(0, 255)),
    st.builds(channel.Relayed, st.lists(site_names, max_size=channel.MAX_RELAY_PATH).map(tuple)),
    st.builds(channel.Bundle, st.binary(min_size=16, max_size=16)),
    st.builds(channel.Carry, st.binary(min_size=16, max_size=16), u32),
    st.builds(channel.Pending),
    st.builds(channel.Farewell, texts),
    st.builds(channel.Leave, texts),
    st.builds(channel.Width, versions),
    st.builds(channel.Renew, binary, binary),
    st.builds(channel.Readmit, site_names, chains, binary, binary, binary),
    st.builds(channel.Renewed, chains, chains, texts),
    st.builds(channel.Trail, chains, binary, u64, hashes, st.lists(binary, max_size=4).map(tuple)),
    st.builds(channel.TrailKept, chains, binary, u64, hashes, texts),
)
join_messages = st.one_of(
    st.builds(join.JoinRequest, versions, site_names, binary, binary, chains),
    st.builds(join.JoinAccepted, site_names, binary, chains, chains, costs_or_auto),
    st.builds(join.JoinDeclined, st.text(max_size=32), texts),
    st.builds(join.JoinOffer, versions),
    st.builds(join.JoinChallenge, st.binary(min_size=32, max_size=32)),
)
