import asyncio
from pathlib import Path

from openrembg.client import AsyncClient, RembgError


async def main() -> None:
    """Cut out a folder, four photos at a time."""
    Path("cutouts").mkdir(exist_ok=True)
    four = asyncio.Semaphore(4)
    async with AsyncClient("YOUR_API_KEY", base_url="http://localhost:8000") as client:

        async def cut_out(photo: Path) -> None:
            try:
                async with four:
                    await client.save_cutout(photo, Path("cutouts", f"{photo.stem}.webp"))
                print(f"{photo.name}: done")
            except RembgError as error:
                print(f"{photo.name}: {error}")

        await asyncio.gather(*map(cut_out, sorted(Path("photos").glob("*.jpg"))))


asyncio.run(main())
