"""Open Images' CSV files: boxes in shares of the image, names of classes, masks beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_training.lifting.openimages import OpenImagesFiles, read_openimages
from model_training.lifting.outlines import MaskFile
from n3d_ros.errors import ConfigurationError, InputError

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
MASK_HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"


def write(folder: Path, *rows: str, classes: str = "/m/02p5f1q,Coffee cup\n/m/04bcr3,Table\n") -> OpenImagesFiles:
    (folder / "class-descriptions-boxable.csv").write_text(classes)
    path = folder / "validation-annotations-bbox.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return OpenImagesFiles(boxes=path)


def row(
    image: str = "0001eeaf4aed83f9", label: str = "/m/02p5f1q", box: str = "0.1,0.5,0.2,0.6", **remarks: int
) -> str:
    values = [str(remarks.get(name, 0)) for name in ("occluded", "truncated", "group", "depiction", "inside")]
    return ",".join([image, "xclick", label, str(remarks.get("confidence", 1)), box, *values])


def test_boxes_become_pixels_of_the_image_itself(tmp_path: Path) -> None:
    images, tally = read_openimages(write(tmp_path, row()), rename={})
    (image,) = images
    assert image.file_name == "0001eeaf4aed83f9.jpg"
    assert image.is_normalized
    sized = image.in_pixels(1000, 500)
    assert sized.annotations[0].label == "coffee cup"
    assert sized.annotations[0].box_2d == pytest.approx((100.0, 100.0, 500.0, 300.0))
    assert not tally.by_rule


def test_remarks_are_read(tmp_path: Path) -> None:
    rows = [row(group=1), row(depiction=1), row(inside=1), row(group=-1)]
    images, _ = read_openimages(write(tmp_path, *rows), rename={})
    assert [one.remarks for one in images[0].annotations] == [("group",), ("depiction",), ("inside",), ()]


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (row(box="0.5,0.5,0.2,0.6"), "box_without_area"),
        (row(box="nan,0.5,0.2,0.6"), "box_not_finite"),
        (row(box="x,0.5,0.2,0.6"), "box_not_finite"),
        (row(box="1.5,2.5,0.2,0.6"), "box_outside"),
        (row(label="/m/unknown"), "unknown_label"),
        (row(image="../../etc/passwd"), "annotation_entry"),
        (row(confidence=7), "annotation_entry"),
        ("0001eeaf4aed83f9,xclick", "unknown_label"),
    ],
)
def test_a_bad_row_is_counted_and_the_others_are_read(tmp_path: Path, bad: str, rule: str) -> None:
    images, tally = read_openimages(write(tmp_path, bad, row()), rename={})
    assert sum(len(image.annotations) for image in images) == 1
    assert tally.by_rule == {rule: 1}


def test_a_mask_belongs_to_the_box_that_it_was_drawn_in(tmp_path: Path) -> None:
    files = write(tmp_path, row(), row(box="0.6,0.9,0.2,0.6"))
    masks = tmp_path / "masks.csv"
    lines = [
        MASK_HEADER,
        "a.png,0001eeaf4aed83f9,/m/02p5f1q,b,0.600001,0.9,0.2,0.6,0.8,x",
        "b.png,0001eeaf4aed83f9,/m/04bcr3,c,0.1,0.5,0.2,0.6,0.8,x",
        "../c.png,0001eeaf4aed83f9,/m/02p5f1q,d,0.1,0.5,0.2,0.6,0.8,x",
    ]
    masks.write_text("\n".join(lines))
    images, tally = read_openimages(OpenImagesFiles(boxes=files.boxes, masks=masks), rename={})
    first, second = images[0].annotations
    assert first.outline is None
    assert isinstance(second.outline, MaskFile)
    assert second.outline.name == "a.png"
    assert tally.by_rule == {"mask_broken": 1}


def test_the_first_images_are_read_whole(tmp_path: Path) -> None:
    images, _ = read_openimages(write(tmp_path, row("a"), row("b"), row("a")), rename={}, max_images=1)
    assert [(image.id, len(image.annotations)) for image in images] == [("a", 2)]


def test_a_file_of_classes_with_a_header_is_read_too(tmp_path: Path) -> None:
    files = write(tmp_path, row(), classes="LabelName,DisplayName\n/m/02p5f1q,Mug\n")
    images, _ = read_openimages(files, rename={})
    assert images[0].annotations[0].label == "mug"


def test_missing_classes_columns_and_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    files = write(tmp_path, row())
    (tmp_path / "class-descriptions-boxable.csv").unlink()
    with pytest.raises(ConfigurationError, match="--classes"):
        read_openimages(files, rename={})
    files = write(tmp_path, row())
    files.boxes.write_text("ImageID,LabelName\na,b\n")
    with pytest.raises(InputError, match="XMin"):
        read_openimages(files, rename={})
    files.boxes.write_bytes(HEADER.encode() + b"\n\xff\xfe\xff,,,\n")
    with pytest.raises(InputError, match="damaged"):
        read_openimages(files, rename={})


def test_the_mark_that_spreadsheets_write_first_is_no_part_of_a_column(tmp_path: Path) -> None:
    files = write(tmp_path, row(), classes="\ufeff/m/02p5f1q,Coffee cup\n")
    files.boxes.write_text("\ufeff" + files.boxes.read_text())
    images, tally = read_openimages(files, rename={})
    assert [one.label for one in images[0].annotations] == ["coffee cup"]
    assert not tally.by_rule
