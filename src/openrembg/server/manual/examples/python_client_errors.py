from openrembg.client import (
    Client,
    ConnectionFailed,
    InvalidKey,
    InvalidRequest,
    MonthlyLimit,
    RembgError,
)

with Client("YOUR_API_KEY", base_url="http://localhost:8000") as client:
    try:
        client.save_cutout("notes.txt", "cutout.webp")
    except InvalidRequest as error:
        print("The picture or an option is wrong:", error.field, error.message)
    except InvalidKey:
        print("The key is wrong.")
    except MonthlyLimit:
        print("The credits are used up.")
    except ConnectionFailed as error:
        print("The server is away:", error)
    except RembgError as error:
        print("Something else:", error)
