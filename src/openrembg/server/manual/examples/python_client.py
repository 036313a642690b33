from openrembg.client import Client, Options

options = Options(format="png", w=800)

with Client("YOUR_API_KEY", base_url="http://localhost:8000") as client:
    cutout = client.save_cutout("photo.jpg", "cutout.png", options)
    print(cutout.width, cutout.height, cutout.foreground_detected)
    print("Credits:", cutout.credits_charged)

    usage = client.usage()
    if usage.billing_cycle is not None:
        left = usage.billing_cycle.remaining_included_credits
        print("Left:", left + usage.prepaid_credits)
