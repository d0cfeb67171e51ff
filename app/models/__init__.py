from app.models.appointment import Appointment
from app.models.doctor import Availability, Doctor
from app.models.user import PasswordReset, User

__all__ = ["Appointment", "Availability", "Doctor", "PasswordReset", "User"]
