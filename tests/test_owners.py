"""owners: paths that name whose a sample is, and those that only seem to."""

import pytest

from foveal.datasets.owners import owners
from foveal.verbs.source import Source, examine
from roads import CLASSES, save, shades


@pytest.mark.parametrize(
    "form",
    [
        "yes/patient_{p:03}_slice_{i}.png",
        "no/Patient-{p}/{i}.png",
        "sub-{p:02}_ses-{i}_T1w.nii.gz",
        "a/case id P{p}.{i}.png",
        "b/track{p}/frame_{i:04}.jpg",
        "c/slide_{i}/subject{p}_{i}.png",
    ],
)
def test_words_with_a_number_name_an_owner(form):
    keys = [form.format(p=p, i=i) for i in range(4) for p in (1, 2, 11)]
    groups, why = owners(keys)
    assert groups.tolist() == [groups[0], groups[1], groups[2]] * 4
    assert len({*groups.tolist()}) == 3
    assert "told from paths such as" in why


@pytest.mark.parametrize(
    "keys",
    [
        [f"cat/{i}.png" for i in range(20)],
        [f"cat/patient_{i}.png" for i in range(20)],  # each alone
        [f"cat/patient_{i % 2}_{i}.png" for i in range(20)],  # two
        [f"suitcase{i % 4}_{i}.png" for i in range(20)],  # another word
        [f"patient_{i % 4}_{i}.png" if i < 10 else f"{i}.png" for i in range(20)],  # half
        [f"patient_{i % 4}_{i}.png" if i % 2 else f"track_{i % 4}_{i}.png" for i in range(20)],
        [],
    ],
)
def test_other_paths_name_none(keys):
    assert owners(keys) == (None, "")


def test_pictures_of_a_patient_stay_together(tmp_path):
    x, y = shades(each=20)
    for i, (picture, label) in enumerate(zip(x, y, strict=True)):
        save(picture, tmp_path / CLASSES[label] / f"patient_{i % 7}_slice_{i}.png")
    found = examine(Source(str(tmp_path)))
    assert found.card.groups == 7
    assert "one patient each" in found.card.why["groups"]
    assert examine(Source(str(tmp_path), group="none")).groups is None
