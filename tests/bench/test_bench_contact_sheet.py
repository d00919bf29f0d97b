"""The contact sheet: which regions it shows, and that nothing in it is scaled."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from diffc.bench.report.contact_sheet import Entry, contact_sheet, regions, write_sheet


def with_detail(size, boxes):
    """Return a grey picture with a fine pattern in some boxes."""
    image = Image.new("RGB", size, (128, 128, 128))
    draw = ImageDraw.Draw(image)
    for left, upper, right, lower in boxes:
        for x in range(left, right, 2):
            draw.line((x, upper, x, lower - 1), fill=(255, 255, 255))
    return image


def test_regions_are_the_centre_and_where_the_detail_is():
    image = with_detail((256, 128), [(192, 0, 224, 32)])
    assert regions(image, crop=32, count=2) == [(112, 48, 144, 80), (192, 0, 224, 32)]


def test_of_equal_regions_the_upper_and_left_ones_are_chosen():
    image = Image.new("RGB", (128, 96))
    assert regions(image, crop=32, count=3) == [(0, 0, 32, 32), (32, 0, 64, 32), (48, 32, 80, 64)]


def test_regions_do_not_overlap_and_lie_inside(photo):
    found = regions(photo, crop=24, count=5)
    assert len(found) > 2
    canvas = Image.new("L", photo.size)
    for left, upper, right, lower in found:
        assert (right - left, lower - upper) == (24, 24)
        assert canvas.crop((left, upper, right, lower)).getextrema() == (0, 0)
        canvas.paste(1, (left, upper, right, lower))
    assert canvas.histogram()[1] == 24 * 24 * len(found)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (256, 256), (40, 20)])
def test_a_picture_without_room_for_two_regions_has_one_of_its_own_size(size):
    (box,) = regions(Image.new("RGB", size), crop=256, count=1)
    assert (box[2] - box[0], box[3] - box[1]) == (min(size[0], 256), min(size[1], 256))


def test_crops_stand_in_the_sheet_pixel_for_pixel(photo):
    other = photo.rotate(180)
    entries = [Entry("Original", ["18432 bytes"], photo), Entry("A codec", ["90 bytes"], other)]
    sheet = contact_sheet(photo, entries, crop=32)
    data = sheet.tobytes()
    boxes = regions(photo, 32)
    left = sheet.width - 20 - 32 * len(boxes) - 10 * (len(boxes) - 1)
    row = (sheet.height - 2 * 20 - 10) // 2
    for number, entry in enumerate(entries):
        top = 20 + number * (row + 10)
        for column, box in enumerate(boxes):
            place = (left + 42 * column, top, left + 42 * column + 32, top + 32)
            assert sheet.crop(place).tobytes() == entry.picture.crop(box).tobytes()
    assert contact_sheet(photo, entries, crop=32).tobytes() == data


def test_a_codec_that_failed_has_a_row_with_its_reason(photo):
    with_it = contact_sheet(photo, [Entry("Original", [], photo), Entry("B", ["failed: no"], None)])
    without = contact_sheet(photo, [Entry("Original", [], photo), Entry("B", [], None)])
    assert with_it.size == without.size
    assert with_it.tobytes() != without.tobytes()


def test_long_and_strange_texts_stay_in_their_column(photo):
    plain = contact_sheet(photo, [Entry("", [], photo)])
    text = "<b>\x1b[2J" + 200 * "long "
    sheet = contact_sheet(photo, [Entry(text, [text], photo)])
    assert sheet.size == plain.size
    crops = (20 + 230, 0, *sheet.size)
    assert sheet.crop(crops).tobytes() == plain.crop(crops).tobytes()


def test_pictures_of_another_size_are_refused(photo):
    entry = Entry("A codec", [], photo.resize((10, 10)))
    with pytest.raises(ValueError, match="A codec is 10x10, and the original 96x64"):
        contact_sheet(photo, [entry])


def test_the_file_is_a_png(tmp_path, photo):
    path = tmp_path / "sheet.png"
    entries = [Entry("Original", [], photo)]
    write_sheet(path, photo, entries)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.tobytes() == contact_sheet(photo, entries).tobytes()
