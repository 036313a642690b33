from openrembg.client import Client, Progress


def say(verb: str, progress: Progress) -> None:
    """Print how far it is."""
    print(f"{verb} {progress.loaded} of {progress.total} bytes")


with Client("YOUR_API_KEY", base_url="http://localhost:8000") as client:
    client.save_cutout(
        "photo.jpg",
        "cutout.webp",
        on_upload=lambda progress: say("sent", progress),
        on_download=lambda progress: say("received", progress),
    )
