"""The libwebp that Pillow's wheel carries, called directly.

Through Pillow a picture is copied several times, converted on one core, and its alpha goes through
libwebp's slowest part. Here the planes are filled in stripes, and alpha is written by webp_alpha.
Source: libwebp 1.3 to 1.6, src/webp/encode.h and decode.h (BSD-3-Clause).
"""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from cffi import FFI
from numpy.typing import NDArray

from openrembg.matting import parallel

ENCODER_ABI: Final = 0x020F
DECODER_ABI: Final = 0x0209
# VP8_ENC_ERROR_PARTITION0_OVERFLOW: the modes of all blocks do not fit into their 512 KiB.
MODES_OVERFLOW: Final = 6

_ffi = FFI()
_ffi.cdef("""
typedef struct {
  int lossless; float quality; int method; int image_hint; int target_size; float target_PSNR;
  int segments; int sns_strength; int filter_strength; int filter_sharpness; int filter_type;
  int autofilter; int alpha_compression; int alpha_filtering; int alpha_quality; int pass;
  int show_compressed; int preprocessing; int partitions; int partition_limit;
  int emulate_jpeg_size; int thread_level; int low_memory; int near_lossless; int exact;
  int use_delta_palette; int use_sharp_yuv; int qmin; int qmax;
} WebPConfig;

typedef struct { uint8_t* mem; size_t size; size_t max_size; uint32_t pad[1]; } WebPMemoryWriter;

typedef struct WebPPicture {
  int use_argb; int colorspace; int width; int height;
  uint8_t* y; uint8_t* u; uint8_t* v; int y_stride; int uv_stride;
  uint8_t* a; int a_stride; uint32_t pad1[2];
  uint32_t* argb; int argb_stride; uint32_t pad2[3];
  int (*writer)(const uint8_t* data, size_t data_size, const struct WebPPicture* picture);
  void* custom_ptr; int extra_info_type; uint8_t* extra_info; void* stats; int error_code;
  void* progress_hook; void* user_data; uint32_t pad3[3]; uint8_t* pad4; uint8_t* pad5;
  uint32_t pad6[8]; void* memory_; void* memory_argb_; void* pad7[2];
} WebPPicture;

typedef struct {
  int width; int height; int has_alpha; int has_animation; int format; uint32_t pad[5];
} WebPBitstreamFeatures;

int WebPConfigInitInternal(WebPConfig*, int preset, float quality, int version);
int WebPPictureInitInternal(WebPPicture*, int version);
int WebPPictureImportRGB(WebPPicture*, const uint8_t* rgb, int stride);
int WebPPictureImportRGBA(WebPPicture*, const uint8_t* rgba, int stride);
void WebPPictureFree(WebPPicture*);
void WebPCleanupTransparentArea(WebPPicture*);
void WebPMemoryWriterInit(WebPMemoryWriter*);
void WebPFree(void*);
int WebPMemoryWrite(const uint8_t* data, size_t data_size, const WebPPicture* picture);
int WebPEncode(const WebPConfig*, WebPPicture*);
int WebPGetEncoderVersion(void);
int WebPGetFeaturesInternal(const uint8_t*, size_t, WebPBitstreamFeatures*, int version);
uint8_t* WebPDecodeRGBInto(const uint8_t*, size_t, uint8_t* out, size_t size, int stride);
uint8_t* WebPDecodeRGBAInto(const uint8_t*, size_t, uint8_t* out, size_t size, int stride);
""")


class LibwebpError(ValueError):
    """libwebp refused the bytes or the picture."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def available() -> bool:
    """Return whether the library was found and speaks the ABI that we know."""
    return _library() is not None


def version() -> str | None:
    """Return libwebp's version, for instance `1.6.0`, None where it was not found."""
    library = _library()
    if library is None:
        return None
    packed = library.WebPGetEncoderVersion()
    return f"{packed >> 16}.{packed >> 8 & 255}.{packed & 255}"


@cache
def _library() -> Any:
    for path in _candidates():
        try:
            library: Any = _ffi.dlopen(str(path))
            config = _ffi.new("WebPConfig*")
            if library.WebPConfigInitInternal(config, 0, 80.0, ENCODER_ABI):
                return library
        except (OSError, AttributeError):
            continue
    return None


def _candidates() -> list[Path]:
    """List libwebp as the wheels of Linux and macOS carry it; importing Pillow loads its needs."""
    import PIL._webp

    package = Path(PIL.__file__).parent
    folder = package / ".dylibs" if sys.platform == "darwin" else package.parent / "pillow.libs"
    return sorted(
        path
        for path in folder.glob("libwebp*")
        if not path.name.startswith(("libwebpmux", "libwebpdemux"))
    )


def encode_lossy(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, *, quality: float
) -> memoryview:
    """Encode the colours of uint8[h, w, 3] at method 0, as a simple WebP file without alpha.

    alpha: uint8[h, w]; where it is 0 the colours do not reach the file, and chroma at its edge is
    weighed by it. The colours become 4:2:0 planes in stripes on all cores, so that no second copy
    of the picture is ever made.
    Raises LibwebpError.
    """
    height, width = rgb.shape[:2]
    planes = _Planes.empty(width, height)
    stripes = parallel.stripes((height + 15) // 16, width * 64)

    def convert(index: int) -> None:
        blocks = stripes[index]
        _convert(rgb, alpha, planes, slice(blocks.start * 16, min(height, blocks.stop * 16)))

    parallel.run_all(convert, len(stripes))
    picture = _picture(width, height)
    picture.y, picture.y_stride = _pointer(planes.y), width
    picture.u, picture.v = _pointer(planes.u), _pointer(planes.v)
    picture.uv_stride = (width + 1) // 2
    try:
        return _write(_config(quality), picture)
    except LibwebpError as error:
        # Seen from 130 megapixels on: only a turned photo has a canvas of that size.
        if error.code != MODES_OVERFLOW:
            raise
        return _write(_thrifty(_config(quality)), picture)


@dataclass(frozen=True, slots=True)
class _Planes:
    """Luma uint8[h, w] and chroma uint8[ceil(h / 2), ceil(w / 2)], twice."""

    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8]

    @classmethod
    def empty(cls, width: int, height: int) -> "_Planes":
        half = ((height + 1) // 2, (width + 1) // 2)
        return cls(
            np.empty((height, width), np.uint8), np.empty(half, np.uint8), np.empty(half, np.uint8)
        )


def _convert(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, planes: _Planes, rows: slice
) -> None:
    """Fill a stripe of the planes, whole blocks high, with libwebp's own conversion.

    It weighs chroma by alpha, and then flattens what is fully transparent.
    """
    library = _library()
    height, width = rows.stop - rows.start, rgb.shape[1]
    stripe = _picture(width, height)
    try:
        if alpha is None:
            pixels = np.ascontiguousarray(rgb[rows])
            done = library.WebPPictureImportRGB(stripe, _pointer(pixels), width * 3)
        else:
            pixels = np.empty((height, width, 4), np.uint8)
            cv2.mixChannels([rgb[rows], alpha[rows]], [pixels], [0, 0, 1, 1, 2, 2, 3, 3])
            done = library.WebPPictureImportRGBA(stripe, _pointer(pixels), width * 4)
            library.WebPCleanupTransparentArea(stripe)
        if not done:
            raise LibwebpError(f"libwebp error {stripe.error_code} on import")
        half = slice(rows.start // 2, (rows.stop + 1) // 2)
        planes.y[rows] = _plane(stripe.y, width, height, stripe.y_stride)
        planes.u[half] = _plane(stripe.u, (width + 1) // 2, (height + 1) // 2, stripe.uv_stride)
        planes.v[half] = _plane(stripe.v, (width + 1) // 2, (height + 1) // 2, stripe.uv_stride)
    finally:
        library.WebPPictureFree(stripe)


def _plane(pointer: Any, width: int, height: int, stride: int) -> NDArray[np.uint8]:
    """Return a view of a plane that libwebp owns."""
    buffer = memoryview(_ffi.buffer(pointer, stride * height))
    return np.frombuffer(buffer, np.uint8).reshape(height, stride)[:, :width]


def _pointer(pixels: NDArray[np.uint8]) -> Any:
    return _ffi.from_buffer("uint8_t*", pixels.data)


def _config(quality: float) -> Any:
    config: Any = _ffi.new("WebPConfig*")
    _library().WebPConfigInitInternal(config, 0, quality, ENCODER_ABI)
    config.method = 0
    config.thread_level = 1
    return config


def _thrifty(config: Any) -> Any:
    """Return the configuration with the slower method that counts the bits of a block's modes."""
    config.method = 3
    config.segments = 1
    config.partition_limit = 100
    return config


def _picture(width: int, height: int) -> Any:
    picture: Any = _ffi.new("WebPPicture*")
    _library().WebPPictureInitInternal(picture, ENCODER_ABI)
    picture.width, picture.height = width, height
    return picture


def _write(config: Any, picture: Any) -> memoryview:
    """Return the file in libwebp's own memory, freed with the view's last reference."""
    library = _library()
    writer: Any = _ffi.new("WebPMemoryWriter*")
    library.WebPMemoryWriterInit(writer)
    picture.writer = library.WebPMemoryWrite
    picture.custom_ptr = writer
    done = library.WebPEncode(config, picture)
    file = _ffi.gc(writer.mem, library.WebPFree)
    if not done:
        raise LibwebpError(f"libwebp error {picture.error_code}", picture.error_code)
    return memoryview(_ffi.buffer(file, writer.size))


def decode(data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Decode a still picture to uint8[h, w, 3], or [h, w, 4] when it has alpha.

    width and height are those the header promised: another size is refused.
    Raises LibwebpError.
    """
    library = _library()
    features: Any = _ffi.new("WebPBitstreamFeatures*")
    if library.WebPGetFeaturesInternal(data, len(data), features, DECODER_ABI):
        raise LibwebpError("libwebp cannot read the header")
    if (features.width, features.height) != (width, height):
        raise LibwebpError("the frame does not fill the canvas")
    channels = 4 if features.has_alpha else 3
    pixels = np.empty((height, width, channels), np.uint8)
    unpack = library.WebPDecodeRGBAInto if channels == 4 else library.WebPDecodeRGBInto
    out = _ffi.from_buffer("uint8_t*", pixels.data, require_writable=True)
    if not unpack(data, len(data), out, pixels.nbytes, pixels.strides[0]):
        raise LibwebpError("libwebp cannot decode the pixels")
    return pixels
